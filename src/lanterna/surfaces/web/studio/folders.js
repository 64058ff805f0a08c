// Folders that are dropped: the pictures in them, and the question what to do with these.

import { html, signal, useEffect, useRef } from "./html.js";

/** @import { Ref, Signal } from "preact" */

/** @typedef {{ name: string, files: File[] }} Group - the pictures of a folder

    @typedef {{ name: string, groups: Group[], teach: (groups: Group[]) => void,
        each: (files: File[]) => void, where: string }} Question */

/** @type {Signal<Question | null>} */
export const question = signal(null);

/** What a drop consists of, if the browser can open folders. To be called while the event is handled.
    @param {DataTransfer} data */
export const entriesOf = (data) =>
  [...data.items].map((item) => item.webkitGetAsEntry?.()).filter((each) => each != null);

/** Whether this is a folder that the browser has passed on as a file.
    @param {File} file */
export const isFolder = (file) => !file.type && !file.name.includes(".");

/** @param {FileSystemEntry} entry
    @returns {Promise<FileSystemEntry[]>} in the order of their names */
async function children(entry) {
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  /** @type {FileSystemEntry[]} */
  const found = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    found.push(...some);
  }
  return found
    .filter(({ name }) => !name.startsWith(".") && name !== "__MACOSX")
    .sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
}

/** The pictures of a file or a folder, with all its subfolders.
    @param {FileSystemEntry} entry
    @returns {Promise<File[]>} */
async function pictures(entry) {
  if (entry.isDirectory) return (await Promise.all((await children(entry)).map(pictures))).flat();
  /** @type {File} */
  const file = await new Promise((resolve, reject) =>
    /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject),
  );
  return file.type.startsWith("image/") ? [file] : [];
}

/** The pictures of what was dropped: of each folder if there are several, else of each subfolder.
    @param {FileSystemEntry[]} entries
    @returns {Promise<Group[]>} */
export async function readFolders(entries) {
  const folders = entries.filter(({ isDirectory }) => isDirectory);
  const [only] = folders;
  const parts =
    folders.length > 1 ? entries : [...(await children(only)), ...entries.filter((each) => each !== only)];
  const named = parts.filter(({ isDirectory }) => isDirectory);
  const loose = parts.filter(({ isDirectory }) => !isDirectory);
  const groups = [
    ...(await Promise.all(named.map(async (each) => ({ name: each.name, files: await pictures(each) })))),
    { name: only.name, files: (await Promise.all(loose.map(pictures))).flat() },
  ];
  return groups.filter(({ files }) => files.length);
}

/** The question about a dropped folder. */
export function FolderQuestion() {
  const asked = question.value;
  return asked && html`<${Dialog} key=${asked.name} ...${asked} />`;
}

/** @param {Question} props */
function Dialog({ name, groups, teach, each, where }) {
  /** @type {Ref<HTMLDialogElement>} */
  const dialog = useRef();
  useEffect(() => dialog.current.showModal(), []);
  const files = groups.flatMap((group) => group.files);
  const names = groups.map((group) => group.name);
  const answer = (/** @type {() => void} */ then) => {
    question.value = null;
    then();
  };
  return html`
    <dialog
      ref=${dialog}
      class="question"
      aria-labelledby="question-title"
      onClose=${() => {
        question.value = null;
      }}
    >
      <h2 id="question-title">${files.length} ${files.length === 1 ? "picture" : "pictures"} in “${name}”</h2>
      <button type="button" class="button choice-of" onClick=${() => answer(() => teach(groups))}>
        <b>Teach with it</b>
        <span class="quiet">
          ${
            names.length > 1
              ? `each subfolder is a class: ${names.slice(0, 4).join(", ")}${names.length > 4 ? " …" : ""}`
              : "as one class"
          }
        </span>
      </button>
      <button type="button" class="button choice-of" onClick=${() => answer(() => each(files))}>
        <b>One job for each picture</b>
        <span class="quiet">${where}</span>
      </button>
      <button type="button" class="button quiet" onClick=${() => dialog.current.close()}>
        Cancel
      </button>
    </dialog>
  `;
}
