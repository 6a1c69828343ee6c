/** The embedded model's CLIP. Its text tower conditions the diffusion model; its image tower only teaches that. */
import { buildClip, type ClipSettings } from "../clip.ts";
import { defineRecipe } from "../../recipe.ts";
import { emojiPairs } from "./pairs.ts";

interface EmojiClipSettings extends ClipSettings {
  /** The shards. */
  readonly data: string;
}

export const EMOJI_CLIP_SETTINGS: EmojiClipSettings = {
  data: "",
  seed: 1,
  updates: 1200,
  batchSize: 128,
  accumulate: 1,
  size: 128,
  vocabularySize: 3072,
  textLength: 32,
  textWidth: 192,
  textLayers: 4,
  imageTower: "vit",
  imageWidth: 256,
  imageLayers: 6,
  patchSize: 32,
  resnetLayers: [1, 1, 1, 1],
  resnetWidth: 32,
  headWidth: 64,
  embedding: 192,
  learningRate: 1e-3,
  warmupUpdates: 100,
  weightDecay: 0.05,
  clipNorm: 1,
  emaDecay: 0.995,
};

export const emojiClip = defineRecipe<EmojiClipSettings>({
  name: "emoji-clip",
  description: "CLIP of emoji and their captions; its text tower conditions the embedded model",
  facts: {
    data: "Noto emoji at 128×128 (Apache-2.0) with CLDR's captions, without the withheld ones",
    hours: 1,
    memoryGb: 3,
    expected: "the right one of 100 withheld captions among the first five for most pictures",
  },
  settings: EMOJI_CLIP_SETTINGS,
  build: async (settings, context) => {
    const pairs = await emojiPairs(settings.data, settings.size, "balanced");
    return buildClip(settings, pairs, context);
  },
});
