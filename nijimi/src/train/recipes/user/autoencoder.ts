/** Autoencoders of a user's pictures: with a Gaussian posterior (KL), or with a codebook (VQ). */
import { defineRecipe } from "../../recipe.ts";
import {
  AUTOENCODER_DEFAULTS,
  type AutoencoderSettings,
  buildAutoencoder,
} from "../autoencoder/recipe.ts";
import { USER_DATA_DEFAULTS, userData, type UserDataSettings } from "./data.ts";

type UserAutoencoderSettings = AutoencoderSettings & UserDataSettings;

const SETTINGS: UserAutoencoderSettings = {
  ...AUTOENCODER_DEFAULTS,
  ...USER_DATA_DEFAULTS,
  seed: 1,
  updates: 20_000,
  batchSize: 8,
  size: 128,
  channels: [32, 64, 96, 128],
  latentChannels: 4,
  normGroups: 16,
  learningRate: 4e-4,
  decayUpdates: 4000,
};

const DATA = "Your pictures: a folder, shards, .parquet, CIFAR or MNIST";

export const autoencoder = defineRecipe<UserAutoencoderSettings>({
  name: "autoencoder",
  description: "KL autoencoder of your pictures, for latent-diffusion",
  facts: {
    data: DATA,
    hours: 8,
    memoryGb: 4,
    expected:
      "pictures from a 48th of their numbers; PSNR of those kept from training in the report",
  },
  settings: SETTINGS,
  build: async (settings, context) =>
    buildAutoencoder(settings, await userData("autoencoder", settings), context),
});

/** VQGAN's parts (Esser et al. 2021, arXiv:2012.09841); the adversarial term sets in late, as there. */
export const vqAutoencoder = defineRecipe<UserAutoencoderSettings>({
  name: "vq-autoencoder",
  description: "VQ autoencoder of your pictures with a patch discriminator, as VQGAN",
  facts: {
    data: DATA,
    hours: 10,
    memoryGb: 5,
    expected:
      "pictures from one of 1024 entries for every 8×8 pixels: sharper and less exact than KL's",
  },
  settings: {
    ...SETTINGS,
    posterior: "quantised",
    codebook: 1024,
    // Codebook and commitment terms are the loss of the latents.
    latentWeight: 1,
    adversarialWeight: 0.5,
    adversarialStart: 10_000,
  },
  build: async (settings, context) =>
    buildAutoencoder(settings, await userData("vq-autoencoder", settings), context),
});
