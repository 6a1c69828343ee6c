/** Recipes by name, loaded when asked for. */
import type { CommonSettings, Recipe } from "../recipe.ts";
import { unknownName } from "../../errors.ts";

const RECIPES: Readonly<Record<string, () => Promise<Recipe<never>>>> = {
  autoencoder: async () => erase((await import("./user/autoencoder.ts")).autoencoder),
  "vq-autoencoder": async () => erase((await import("./user/autoencoder.ts")).vqAutoencoder),
  clip: async () => erase((await import("./user/clip.ts")).clip),
  diffusion: async () => erase((await import("./user/diffusion.ts")).diffusion),
  "latent-diffusion": async () => erase((await import("./user/diffusion.ts")).latentDiffusion),
  "emoji-autoencoder": async () => erase((await import("./emoji/autoencoder.ts")).emojiAutoencoder),
  "emoji-clip": async () => erase((await import("./emoji/clip.ts")).emojiClip),
  emoji: async () => erase((await import("./emoji/latent.ts")).emojiLatent),
  "emoji-judge": async () => erase((await import("./emoji/judge.ts")).emojiJudge),
};

/** Names of all recipes. */
export const RECIPE_NAMES: readonly string[] = Object.keys(RECIPES);

/**
 * A recipe by name.
 *
 * @throws NijimiError `option` for an unknown name
 */
export async function loadRecipe(name: string): Promise<Recipe> {
  if (!Object.hasOwn(RECIPES, name)) throw unknownName("recipe", name, RECIPE_NAMES);
  return (await RECIPES[name]()) as unknown as Recipe;
}

/** Forgets the type of a recipe's settings: they are given back to it as it declared them. */
function erase<S extends CommonSettings>(recipe: Recipe<S>): Recipe<never> {
  return recipe as unknown as Recipe<never>;
}
