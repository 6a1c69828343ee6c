/** The models' part of the page: adding, storing, choosing and removing them. */
import { type ModelFile, showBytes, type StoredModel } from "nijimi/checkpoints";
import type { ModelInput, PipelineWorker } from "nijimi/pipelines";
import { clearError, element, report } from "./page.ts";
import { modelOfUrl, pickedModel, type PickedModel } from "./picked.ts";
import { progressBar, timeLeft } from "./progress.ts";
import { TINY_MODEL } from "./tiny-model.ts";

/** @param choose is given what is to be used */
export async function startModels(
  { store }: PipelineWorker,
  choose: (name: string, input: ModelInput, bytes: number) => Promise<void>,
): Promise<void> {
  const keep = element("input", "keep");
  const list = element("ul", "models");
  const bar = progressBar(element("div", "store-progress"));
  const cancel = element("button", "store-cancel");

  async function add(picked: PickedModel): Promise<void> {
    const { name, files, input } = picked;
    return keep.checked ? keepAndChoose(picked) : choose(name, input, bytesOf(files));
  }

  async function keepAndChoose({ name, files }: Omit<PickedModel, "input">): Promise<void> {
    clearError();
    const controller = new AbortController();
    cancel.onclick = () => controller.abort();
    let left = timeLeft();
    let file = -1;
    try {
      const saving = store.save(name, files, controller);
      let next = await saving.next();
      for (; next.done !== true; next = await saving.next()) {
        const step = next.value;
        if (step.fileIndex !== file) left = timeLeft();
        file = step.fileIndex;
        const { phase, done, size = NaN } = step;
        const of = Number.isNaN(size) ? "" : ` of ${showBytes(size)}`;
        const what = `${phase === "loading" ? "Storing" : "Checking"} ${step.file} (${file + 1} of ${step.fileCount})`;
        bar.show(`${what}: ${showBytes(done)}${of}${left(done, size)}`, done / size || undefined);
      }
      await choose(name, { stored: name }, next.value.bytes);
    } finally {
      bar.hide();
      await refresh();
    }
  }

  async function refresh(): Promise<void> {
    const room = await store.room();
    element("p", "room").textContent = room
      ? `${showBytes(room.used)} of ${showBytes(room.quota)} in use${room.isPersistent ? "" : "; the browser may clear it when the disk is full"}.`
      : "";
    list.replaceChildren(...(await store.list()).map(row));
  }

  function row({ name, bytes, size, isComplete }: StoredModel): HTMLLIElement {
    const item = document.createElement("li");
    const text = document.createElement("span");
    text.textContent = isComplete
      ? `${name} · ${showBytes(bytes)}`
      : `${name} · ${showBytes(bytes)} of ${size === undefined ? "?" : showBytes(size)}: add it again to go on`;
    const use = button("Use", `Use ${name}`, () => choose(name, { stored: name }, bytes));
    const remove = button("Delete", `Delete ${name}`, () => store.remove(name).then(refresh));
    item.append(text, ...(isComplete ? [use] : []), remove);
    return item;
  }

  for (const id of ["file", "folder"])
    element("input", id).onchange = ({ target }) => {
      const { files } = target as HTMLInputElement;
      if (files?.length) add(pickedModel(files)).catch(report);
    };
  element("form", "url-form").onsubmit = (event) => {
    event.preventDefault();
    add(modelOfUrl(element("input", "url").value)).catch(report);
  };
  element("button", "tiny").onclick = () => {
    keepAndChoose({ name: "tiny", files: TINY_MODEL }).catch(report);
  };
  await refresh();
}

/** Of picked files; what lies behind an address may be of any size. */
function bytesOf(files: readonly ModelFile[]): number {
  return files.reduce((sum, { from }) => sum + (from instanceof Blob ? from.size : Infinity), 0);
}

function button(text: string, label: string, action: () => Promise<unknown>): HTMLButtonElement {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", textContent: text, ariaLabel: label });
  made.onclick = () => void action().catch(report);
  return made;
}
