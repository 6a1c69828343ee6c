/**
 * Images: PNG, JPEG, WebP and AVIF in and out, resizing with Pillow's results, tensors, and the recipe that every
 * picture carries.
 */
export * from "./codec.ts";
export { readExif, type ExifEntries } from "./exif.ts";
export * from "./grid.ts";
export * from "./image.ts";
export { MAX_PIXELS, type ImageLimits } from "./limits.ts";
export { recipeOfComfyGraph } from "./metadata/comfyui.ts";
export * from "./metadata/invokeai.ts";
export {
  formatParametersText,
  parametersTextOf,
  parseParametersText,
  recipeOfParametersText,
  type ParametersText,
} from "./metadata/parameters-text.ts";
export * from "./metadata/read.ts";
export {
  createRecipe,
  parseRecipe,
  RECIPE_SCHEMA,
  recipeSchema,
  type Recipe,
} from "./metadata/recipe.ts";
export { recipeTexts, type MetadataTexts } from "./metadata/write.ts";
export { applyOrientation } from "./orientation.ts";
export { decodePng, type DecodePngOptions } from "./png/decode.ts";
export { encodePng, type EncodePngOptions } from "./png/encode.ts";
export * from "./preprocess.ts";
export { formatOf, IMAGE_FORMATS, probeImage, type ImageFormat, type ImageInfo } from "./probe.ts";
export * from "./resize/bilinear.ts";
export * from "./resize/resize.ts";
export * from "./tensor.ts";
