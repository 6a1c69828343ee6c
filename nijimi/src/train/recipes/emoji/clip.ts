/** The embedded model's CLIP. Its text tower conditions the diffusion model; its image tower only teaches that. */
import { buildClip, type ClipSettings } from "../clip.ts";
import { defineRecipe } from "../../recipe.ts";
import { emojiText } from "./captions.ts";
import { emojiData } from "./data.ts";

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

/** Light changes; no mirror images, since captions speak of left and right. */
export const EMOJI_AUGMENT = {
  crop: { area: [0.75, 1] },
  rotate: 8,
  color: { brightness: 0.05, contrast: 0.05, saturation: 0.1 },
} as const;

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
    const data = await emojiData(settings.data);
    return buildClip(
      settings,
      {
        training: data.balanced,
        heldOut: data.withheldBase,
        image: { size: settings.size, background: [255, 255, 255] },
        augment: EMOJI_AUGMENT,
        texts: data.texts,
        text: emojiText,
      },
      context,
    );
  },
});
