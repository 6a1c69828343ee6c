/** What the file and folder pickers give, as files of a model. */
import type { ModelFile } from "nijimi/checkpoints";
import type { ModelInput } from "nijimi/pipelines";

/** A model that was picked: what is stored, and what is opened when it is not to be stored. */
export interface PickedModel {
  readonly name: string;
  readonly files: readonly ModelFile[];
  readonly input: ModelInput;
}

/** One file, or all files of a folder without its own name. */
export function pickedModel(list: FileList): PickedModel {
  const files = [...list];
  const [first] = files;
  const [folder, inner] = first.webkitRelativePath.split("/");
  if (inner === undefined)
    return { name: first.name, files: [{ path: first.name, from: first }], input: first };
  const inside = files
    .map((file) => ({ path: file.webkitRelativePath.slice(folder.length + 1), file }))
    .filter(({ path }) => !/(^|\/)\./.test(path));
  return {
    name: folder,
    files: inside.map(({ path, file }) => ({ path, from: file })),
    input: { name: folder, files: inside },
  };
}

/** A file behind a URL. */
export function modelOfUrl(url: string): PickedModel {
  const name = decodeURIComponent(new URL(url).pathname.split("/").at(-1) || "model");
  return { name, files: [{ path: name, from: url }], input: url };
}
