/** The embedded model's U-Net with the settings of its recipe. */
import { emojiLatent } from "../../nijimi/src/train/recipes/emoji/latent.ts";
import { makeUnet, type TrainedUnet } from "../../nijimi/src/train/recipes/diffusion/unet.ts";

/** What it trains on: latents [batch, channels, side, side], states of texts [batch, tokens, width]. */
export const LATENT_STEP = {
  batch: emojiLatent.settings.batchSize,
  channels: 8,
  side: 16,
  tokens: 32,
  width: 192,
} as const;

/** The network. */
export function latentUnet(): TrainedUnet {
  return makeUnet(emojiLatent.settings, LATENT_STEP.channels, { textWidth: LATENT_STEP.width });
}
