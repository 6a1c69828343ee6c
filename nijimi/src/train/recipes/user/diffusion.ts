/** Diffusion models of a user's pictures, of the pictures themselves or of their latents, with and without condition. */
import { unknownName } from "../../../errors.ts";
import { type BuildContext, defineRecipe } from "../../recipe.ts";
import {
  classCondition,
  type Condition,
  newTower,
  type NewTowerSettings,
  textCondition,
  trainedTower,
  unconditional,
} from "../diffusion/condition.ts";
import { buildDiffusion } from "../diffusion/recipe.ts";
import { DIFFUSION_DEFAULTS, type DiffusionSettings } from "../diffusion/settings.ts";
import { latentSpace, pixelSpace } from "../diffusion/space.ts";
import { USER_DATA_DEFAULTS, type UserData, userData, type UserDataSettings } from "./data.ts";

export const CONDITIONS = ["none", "class", "text"] as const;

interface UserDiffusionSettings extends DiffusionSettings, UserDataSettings, NewTowerSettings {
  /** What the model is told of a picture. */
  readonly condition: (typeof CONDITIONS)[number];
  /** Run or folder of a CLIP for `text`; "" trains a transformer along with the U-Net. */
  readonly textEncoder: string;
}

interface UserLatentSettings extends UserDiffusionSettings {
  /** Run or folder of the autoencoder. */
  readonly autoencoder: string;
}

const SHARED = {
  ...DIFFUSION_DEFAULTS,
  ...USER_DATA_DEFAULTS,
  condition: "none",
  textEncoder: "",
  vocabularySize: 4096,
  textLength: 32,
  textWidth: 192,
  textLayers: 4,
  /** Sixteen without condition; name classes or texts. */
  previews: Array<string>(16).fill(""),
} as const;

const DATA =
  "Your pictures, with class subfolders or captions where the model is told of them: a folder, shards, .parquet, CIFAR, MNIST";
/** Captions that a vocabulary is learnt from. */
const VOCABULARY_CAPTIONS = 100_000;

export const diffusion = defineRecipe<UserDiffusionSettings>({
  name: "diffusion",
  description: "Diffusion of your pictures' pixels, told nothing, classes or texts",
  facts: {
    data: DATA,
    hours: 10,
    memoryGb: 4,
    expected: "pictures of 32×32 like the data; how like, says `nijimi eval`",
  },
  settings: {
    ...SHARED,
    updates: 20_000,
    size: 32,
    channels: [64, 128, 128],
    attentionLevels: [1],
  },
  build: async (settings, context) => {
    const data = await userData("diffusion", settings);
    const space = pixelSpace(data, settings.size, context);
    return buildDiffusion(
      settings,
      { space, condition: await conditionOf(settings, data, context) },
      context,
    );
  },
});

export const latentDiffusion = defineRecipe<UserLatentSettings>({
  name: "latent-diffusion",
  description: "Diffusion in the latents of your autoencoder, told nothing, classes or texts",
  facts: {
    data: `${DATA}; an autoencoder trained on them`,
    hours: 5,
    memoryGb: 4,
    expected: "pictures of 128×128 like the data; how like, says `nijimi eval`",
  },
  settings: {
    ...SHARED,
    autoencoder: "autoencoder",
    updates: 10_000,
    size: 128,
    channels: [96, 192],
    attentionLevels: [1],
  },
  build: async (settings, context) => {
    const data = await userData("latent-diffusion", settings);
    const space = await latentSpace(context.trained(settings.autoencoder), data, context);
    return buildDiffusion(
      settings,
      { space, condition: await conditionOf(settings, data, context) },
      context,
    );
  },
});

async function conditionOf(
  settings: UserDiffusionSettings,
  data: UserData,
  { trained }: BuildContext,
): Promise<Condition> {
  const drop = settings.dropCondition;
  switch (settings.condition) {
    case "none":
      return unconditional;
    case "class":
      return classCondition(data.classes, drop);
    case "text": {
      const tower =
        settings.textEncoder === ""
          ? newTower(settings, await data.captions(VOCABULARY_CAPTIONS))
          : await trainedTower(trained(settings.textEncoder));
      return textCondition(tower, { drop, text: (caption) => caption });
    }
    default:
      throw unknownName("condition", String(settings.condition), CONDITIONS);
  }
}
