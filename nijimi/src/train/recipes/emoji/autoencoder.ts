/** The autoencoder of the embedded model: 128×128 pictures on white as 16×16×8 latents. */
import { defineRecipe } from "../../recipe.ts";
import { buildKlAutoencoder, type KlAutoencoderSettings } from "../kl-autoencoder.ts";
import { emojiData } from "./data.ts";

interface EmojiAutoencoderSettings extends KlAutoencoderSettings {
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
    data: "",
    seed: 1,
    updates: 20_000,
    batchSize: 4,
    accumulate: 1,
    size: 128,
    channels: [32, 32, 64, 96],
    layersPerBlock: 1,
    latentChannels: 8,
    normGroups: 16,
    learningRate: 8e-4,
    warmupUpdates: 100,
    decayUpdates: 5000,
    clipNorm: 1,
    emaDecay: 0.999,
    absoluteWeight: 1,
    squaredWeight: 4,
    klWeight: 2e-4,
  },
  build: async (settings, context) => {
    const { training, withheld } = await emojiData(settings.data);
    return buildKlAutoencoder(
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
