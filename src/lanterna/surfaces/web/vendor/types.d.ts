// What the studio's page uses of preact, its hooks and signals, and of htm, for the checker of types alone.

export type Child = VNode | string | number | boolean | null | undefined | Child[];
export interface VNode {
  type: unknown;
  props: object;
  key: unknown;
}
export function h(type: unknown, props: object | null, ...children: Child[]): VNode;
export function render(child: Child, host: Element): void;

declare const htm: {
  bind(make: typeof h): (strings: TemplateStringsArray, ...values: unknown[]) => VNode;
};
export default htm;

export interface Ref<T> {
  current: T;
}
export type State<T> = [T, (next: T | ((had: T) => T)) => void];
type Effect = () => void | (() => void);
export function useRef<T>(initial?: T): Ref<T>;
export function useState<T>(initial: T | (() => T)): State<T>;
export function useMemo<T>(make: () => T, inputs: unknown[]): T;
export function useEffect(effect: Effect, inputs?: unknown[]): void;
export function useLayoutEffect(effect: Effect, inputs?: unknown[]): void;

export interface Signal<T> {
  value: T;
  peek(): T;
}
export function signal<T>(value: T): Signal<T>;
export function computed<T>(find: () => T): { readonly value: T; peek(): T };
export function effect(does: Effect): () => void;
export function batch(does: () => void): void;
export function useSignal<T>(value: T): Signal<T>;
export function useComputed<T>(find: () => T): { readonly value: T };
export function useSignalEffect(does: Effect): void;

declare global {
  interface Window {
    // Asks for a folder; not every browser can, and TypeScript does not know it.
    showDirectoryPicker?(options: { mode: "read" | "readwrite" }): Promise<FileSystemDirectoryHandle>;
  }
}
