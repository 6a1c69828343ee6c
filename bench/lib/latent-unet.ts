/** The embedded model's U-Net with the settings of its recipe. */
import { type DiffusionSettings, loadRecipe, makeUnet, type TrainedUnet } from "nijimi/train";

const settings = (await loadRecipe("emoji")).settings as unknown as DiffusionSettings;

/** What it trains on: latents [batch, channels, side, side], states of texts [batch, tokens, width]. */
export const LATENT_STEP = {
  batch: settings.batchSize,
  channels: 8,
  side: 16,
  tokens: 32,
  width: 192,
} as const;

/** The network. */
export function latentUnet(): TrainedUnet {
  return makeUnet(settings, LATENT_STEP.channels, { textWidth: LATENT_STEP.width });
}
