/** The autoencoder of the embedded model: 128×128 pictures on white as 16×16×8 latents. */
import { defineRecipe } from "../../recipe.ts";
import {
  AUTOENCODER_DEFAULTS,
  type AutoencoderSettings,
  buildAutoencoder,
} from "../autoencoder/recipe.ts";
import { emojiData } from "./data.ts";

interface EmojiAutoencoderSettings extends AutoencoderSettings {
  /** The shards. */
  readonly data: string;
}

export const emojiAutoencoder = defineRecipe<EmojiAutoencoderSettings>({
  name: "emoji-autoencoder",
  description: "KL autoencoder of 128×128 emoji, 8 times smaller, for the embedded model",
  facts: {
    data: "Noto emoji at 128×128 (Apache-2.0), without the withheld ones",
    hours: 2.5,
    memoryGb: 3,
    expected: "PSNR of withheld pictures ≥ 28 dB",
  },
  settings: {
    ...AUTOENCODER_DEFAULTS,
    data: "",
    seed: 1,
    updates: 10_000,
    batchSize: 4,
    size: 128,
    channels: [16, 32, 64, 96],
    latentChannels: 8,
    normGroups: 8,
    learningRate: 8e-4,
    decayUpdates: 3000,
    tower: "emoji-clip",
  },
  build: async (settings, context) => {
    const { training, withheld } = await emojiData(settings.data);
    return buildAutoencoder(
      settings,
      {
        training,
        heldOut: withheld,
        image: { size: settings.size, background: [255, 255, 255] },
        augment: {
          flip: 0.5,
          crop: { area: [0.7, 1] },
          color: { hue: 0.1, saturation: 0.2, brightness: 0.1 },
        },
      },
      context,
    );
  },
});
