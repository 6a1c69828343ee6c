/** Words for an emoji: its caption, mostly; sometimes with tags, or the tags alone. */
import type { TorchGenerator } from "../../../tensor/random/torch.ts";

/** Share of texts that are the caption alone, and with tags. The others are tags alone. */
const CAPTION = 0.6;
const WITH_TAGS = 0.3;
const TAGS = 4;

/** A text for a sample, drawn from what the data says about it. */
export function emojiText(
  caption: string,
  metadata: Readonly<Record<string, unknown>> | undefined,
  random: TorchGenerator,
): string {
  const all = Array.isArray(metadata?.["tags"]) ? (metadata["tags"] as string[]) : [];
  const draws = random.rand([2 + all.length]).data;
  if (all.length === 0 || draws[0] < CAPTION) return caption;
  const shuffled = all
    .map((tag, i) => ({ tag, order: draws[2 + i] }))
    .toSorted((a, b) => a.order - b.order)
    .map(({ tag }) => tag);
  const tags = shuffled.slice(0, 1 + Math.floor(draws[1] * Math.min(TAGS, all.length)));
  return draws[0] < CAPTION + WITH_TAGS ? [caption, ...tags].join(", ") : tags.join(", ");
}
