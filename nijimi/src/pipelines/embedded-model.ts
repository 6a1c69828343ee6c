/**
 * The model that comes with the package: small pictures from text, trained by this project's own recipes on emoji
 * (`train/recipes/emoji`). A diffusers folder beside the code, in the package as in a checkout.
 */

/** Its name, for `--model` and recipes. */
export const EMBEDDED_MODEL = "emoji";

/**
 * Where the embedded model is: a `file:` URL in Node, the address beside the modules in a browser that imports them
 * by URL. A bundler leaves the folder behind; serve `nijimi/models/emoji` of the package and load that address.
 *
 * @example
 * const pipeline = await loadPipeline(embeddedModelUrl());
 * const [{ image }] = await allImages(textToImage(pipeline, { prompt: "red apple", seed: 1 }));
 */
export function embeddedModelUrl(): URL {
  return new URL(`../../models/${EMBEDDED_MODEL}`, import.meta.url);
}
