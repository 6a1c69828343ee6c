/** The embedded model: pictures of 128×128 from text, by diffusion in the emoji autoencoder's latents. */
import { defineRecipe } from "../../recipe.ts";
import { textCondition, trainedTower } from "../diffusion/condition.ts";
import { PROCESS_DEFAULTS } from "../diffusion/process.ts";
import { buildDiffusion } from "../diffusion/recipe.ts";
import { DIFFUSION_DEFAULTS, type DiffusionSettings } from "../diffusion/settings.ts";
import { latentSpace } from "../diffusion/space.ts";
import { emojiText } from "./captions.ts";
import { emojiData } from "./data.ts";

/** Times a base emoji is drawn for each time one of its variants of skin tone is. */
const BASE_WEIGHT = 6;

interface EmojiLatentSettings extends DiffusionSettings {
  /** The shards. */
  readonly data: string;
  /** Run or folder of the autoencoder. */
  readonly autoencoder: string;
  /** Run or folder of the CLIP. */
  readonly textEncoder: string;
  /** Side of the pictures. */
  readonly size: number;
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
    ...DIFFUSION_DEFAULTS,
    updates: 8000,
    size: 128,
    channels: [96, 160],
    // Attention over the 256 places of the first level would take a third of every step.
    attentionLevels: [1],
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
    decayUpdates: 2000,
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
  },
  build: async (settings, context) => {
    const { training } = await emojiData(settings.data);
    const tower = await trainedTower(context.trained(settings.textEncoder));
    const condition = textCondition(tower, { drop: settings.dropCondition, text: emojiText });
    const space = await latentSpace(
      context.trained(settings.autoencoder),
      {
        training,
        image: { size: settings.size, background: [255, 255, 255] },
        weight: (_, metadata) => (metadata?.["base"] === true ? BASE_WEIGHT : 1),
      },
      context,
    );
    return buildDiffusion(settings, { space, condition }, context);
  },
});
