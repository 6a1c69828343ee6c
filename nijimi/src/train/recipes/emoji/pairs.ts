/** Emoji and their captions, as the CLIPs are trained on them. */
import type { ClipData } from "../clip.ts";
import { emojiText } from "./captions.ts";
import { type EmojiData, emojiData } from "./data.ts";

/** Light changes; no mirror images, since captions speak of left and right. */
const AUGMENT = {
  crop: { area: [0.75, 1] },
  rotate: 8,
  color: { brightness: 0.05, contrast: 0.05, saturation: 0.1 },
} as const;

/**
 * The pairs in the shards at `files`.
 *
 * @param size side of the pictures
 * @param set what is trained on: without the withheld pictures, or all
 */
export async function emojiPairs(
  files: string,
  size: number,
  set: keyof Pick<EmojiData, "balanced" | "allBalanced">,
): Promise<ClipData> {
  const data = await emojiData(files);
  return {
    training: data[set],
    heldOut: data.withheldBase,
    image: { size, background: [255, 255, 255] },
    augment: AUGMENT,
    texts: data.texts,
    text: emojiText,
  };
}
