/**
 * The judge: another CLIP, of another shape and seed, that has seen every picture. It only measures: how often a
 * generated picture is closer to its caption than to 99 others, and distances between sets in its features.
 */
import { buildClip, type ClipSettings } from "../clip.ts";
import { defineRecipe } from "../../recipe.ts";
import { EMOJI_CLIP_SETTINGS } from "./clip.ts";
import { emojiPairs } from "./pairs.ts";

interface EmojiJudgeSettings extends ClipSettings {
  /** The shards. */
  readonly data: string;
}

export const emojiJudge = defineRecipe<EmojiJudgeSettings>({
  name: "emoji-judge",
  description: "CLIP of all emoji that measures the embedded model",
  facts: {
    data: "Noto emoji at 128×128 (Apache-2.0) with CLDR's captions, all of them",
    hours: 2,
    memoryGb: 4,
    expected: "the right one of 100 captions first for nearly all pictures",
  },
  settings: {
    ...EMOJI_CLIP_SETTINGS,
    seed: 2,
    vocabularySize: 2048,
    textWidth: 192,
    textLayers: 3,
    imageWidth: 192,
    imageLayers: 8,
    patchSize: 16,
    embedding: 256,
  },
  build: async (settings, context) => {
    const pairs = await emojiPairs(settings.data, settings.size, "allBalanced");
    return buildClip(settings, pairs, context);
  },
});
