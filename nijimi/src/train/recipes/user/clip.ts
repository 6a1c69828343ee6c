/** CLIP of a user's pictures and captions. */
import { defineRecipe } from "../../recipe.ts";
import { buildClip, type ClipSettings } from "../clip.ts";
import { USER_DATA_DEFAULTS, userData, type UserDataSettings } from "./data.ts";

/** Captions that the vocabulary is learnt from. */
const VOCABULARY_CAPTIONS = 100_000;

export const clip = defineRecipe<ClipSettings & UserDataSettings>({
  name: "clip",
  description: "CLIP of your pictures and captions, with a ViT or ResNet image tower",
  facts: {
    data: "Your pictures with captions: a folder with .txt files or metadata.jsonl, shards, .parquet",
    hours: 2,
    memoryGb: 4,
    expected:
      "captions find their pictures; retrieval among those kept from training in the report",
  },
  settings: {
    ...USER_DATA_DEFAULTS,
    size: 128,
    // Captions speak of left and right.
    flip: 0,
    crop: 0.75,
    seed: 1,
    updates: 5000,
    batchSize: 128,
    accumulate: 1,
    vocabularySize: 4096,
    textLength: 32,
    textWidth: 192,
    textLayers: 4,
    imageTower: "vit",
    imageWidth: 256,
    imageLayers: 6,
    patchSize: 16,
    resnetLayers: [1, 1, 1, 1],
    resnetWidth: 32,
    headWidth: 64,
    embedding: 192,
    learningRate: 1e-3,
    warmupUpdates: 200,
    weightDecay: 0.05,
    clipNorm: 1,
    emaDecay: 0.995,
  },
  build: async (settings, context) => {
    const data = await userData("clip", settings);
    const texts = await data.captions(VOCABULARY_CAPTIONS);
    return buildClip(settings, { ...data, texts, text: (caption) => caption }, context);
  },
});
