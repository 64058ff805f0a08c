// Folders that are dropped: the pictures in them, and the question what to do with these.

import { messageOf } from "lanterna/words.js";
import { addClasses, classes, setClasses } from "./classes.js";
import { openInHome, question, uploadAll } from "./drop.js";
import { html, useEffect, useRef } from "./html.js";
import { go, home, notify, rooms } from "./store.js";

/** @import { Ref } from "preact" */
/** @import { Accept } from "./drop.js" */

/** @typedef {{ name: string, files: File[] }} Group - the pictures of a folder

    @typedef {{ name: string, groups: Group[], each: (files: File[]) => void, where: string }} Question */

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
async function readFolders(entries) {
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

/** Ask what to do with folders, unless they were dropped on something that takes their pictures.
    @param {FileSystemEntry[]} entries
    @param {((files: File[]) => void) | null} take
    @param {Accept | null} each - starts a job for each picture in this room */
export async function ask(entries, take, each) {
  const folders = entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => name);
  /** @type {Group[]} */
  let groups;
  try {
    groups = await readFolders(entries);
  } catch (error) {
    notify(`The folder cannot be read: ${messageOf(error)}`);
    return;
  }
  const first = rooms.value.find(({ name }) => name === home())?.title;
  if (!groups.length) notify(`There are no pictures in “${folders[0]}”.`);
  else if (take) take(groups.flatMap(({ files }) => files));
  else
    question.value = {
      name: folders.join(", "),
      groups,
      where: each ? "with the settings of this room" : `in ${first}`,
      each: async (files) => {
        const ids = await uploadAll(files);
        if (ids.length) (each ?? openInHome)(ids);
      },
    };
}

/** @param {Group[]} groups */
async function teach(groups) {
  const added = [];
  for (const { name, files } of groups) added.push({ name: name.slice(0, 60), ids: await uploadAll(files) });
  const before = classes.value;
  addClasses(added.filter(({ ids }) => ids.length));
  go("teach");
  const count = added.reduce((sum, { ids }) => sum + ids.length, 0);
  notify(`${count} pictures were added.`, "Undo", () => setClasses(before));
}

/** The question about the folders that were dropped. */
export default function FolderQuestion() {
  return question.value && html`<${Dialog} key=${question.value.name} ...${question.value} />`;
}

/** @param {Question} props */
function Dialog({ name, groups, each, where }) {
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
