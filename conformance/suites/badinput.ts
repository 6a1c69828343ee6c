/**
 * Bad input: a manifest of files and folders with what a reader must do with each. Hostile ones must be refused by
 * name, well-formed ones must load, nothing may run, hang or take much memory.
 */
import type { Case, Comparison, Suite } from "../case.ts";
import { readCheckpointFile } from "../badinput/checkpoint-file.ts";
import { judge, type Handler, type Item } from "../badinput/item.ts";
import { readImageFile } from "../badinput/image-file.ts";
import { readModelFolder } from "../badinput/model-folder.ts";

/** Handlers by what the item's name ends in. Items without one are not files to be judged. */
const HANDLERS: readonly (readonly [pattern: RegExp, handler: Handler])[] = [
  [/^(?!images_expected).*\.(safetensors|ckpt|pt|pth|bin|pkl|npy|npz|gguf)$/, readCheckpointFile],
  [/\/$/, readModelFolder],
  [/\.(png|jpe?g|webp|avif)$/, readImageFile],
];

export const suite: Suite = {
  kind: "badinput",
  accepts: (c) => itemsOf(c).length > 0,
  async run(c) {
    const comparisons: Comparison[] = [];
    for (const item of itemsOf(c)) {
      const handler = HANDLERS.find(([pattern]) => pattern.test(item.file))?.[1];
      if (handler) comparisons.push(await judge(item, c, handler));
    }
    return comparisons;
  },
};

function itemsOf({ json }: Case): readonly Item[] {
  const items = Array.isArray(json.items) ? (json.items as Partial<Item>[]) : [];
  const judged = items.every(
    ({ file, expected }) => typeof file === "string" && typeof expected === "string",
  );
  return judged ? (items as Item[]) : [];
}
