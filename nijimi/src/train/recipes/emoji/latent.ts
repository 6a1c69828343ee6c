/** The embedded model: pictures of 128×128 from text, by diffusion in the emoji autoencoder's latents. */
import { defineRecipe } from "../../recipe.ts";
import { buildLatentText, type LatentTextSettings } from "../diffusion/latent-text.ts";
import { PROCESS_DEFAULTS } from "../diffusion/process.ts";
import { emojiText } from "./captions.ts";
import { emojiData } from "./data.ts";

/** Times a base emoji is drawn for each time one of its variants of skin tone is. */
const BASE_WEIGHT = 6;

interface EmojiLatentSettings extends LatentTextSettings {
  /** The shards. */
  readonly data: string;
}

export const emojiLatent = defineRecipe<EmojiLatentSettings>({
  name: "emoji",
  description: "The embedded text-to-image model, in the latents of emoji-autoencoder",
  facts: {
    data: "Noto emoji at 128×128 (Apache-2.0) with CLDR's captions, without the withheld ones",
    hours: 2.5,
    memoryGb: 4,
    expected: "recognisable emoji for training captions, most withheld ones close to theirs",
  },
  settings: {
    data: "",
    autoencoder: "emoji-autoencoder",
    textEncoder: "emoji-clip",
    seed: 1,
    updates: 10_000,
    batchSize: 32,
    accumulate: 1,
    size: 128,
    channels: [96, 160],
    layersPerBlock: 2,
    // Attention over the 256 places of the first level would take a third of every step.
    attentionLevels: [1],
    heads: 4,
    normGroups: 32,
    dropCaptions: 0.1,
    // Stable Diffusion's levels and v without weights: with one picture per caption there is most to learn at high
    // noise, where the text alone decides, and which min-SNR's weights all but leave out.
    process: {
      ...PROCESS_DEFAULTS,
      schedule: "scaled-linear",
      betaStart: 0.00085,
      betaEnd: 0.012,
      weighting: "none",
    },
    learningRate: 4e-4,
    warmupUpdates: 200,
    decayUpdates: 2000,
    weightDecay: 0.01,
    clipNorm: 1,
    emaDecay: 0.999,
    previews: [
      "red apple",
      "grinning face",
      "purple heart",
      "dog face",
      "rocket",
      "green apple",
      "woman astronaut",
      "house with garden",
      "blue apple",
      "brown square",
      "crying cat",
      "penguin with top hat",
      "pizza",
      "snowman",
      "black cat",
      "dog with sunglasses",
    ],
    previewGuidance: 3,
  },
  build: async (settings, context) => {
    const { training } = await emojiData(settings.data);
    return buildLatentText(
      settings,
      {
        training,
        image: { size: settings.size, background: [255, 255, 255] },
        weight: (_, metadata) => (metadata?.["base"] === true ? BASE_WEIGHT : 1),
        text: emojiText,
      },
      context,
    );
  },
});
