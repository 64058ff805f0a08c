// A network that the page cannot compute: what Python recorded of it.
export function recordedModel() { return null; }
