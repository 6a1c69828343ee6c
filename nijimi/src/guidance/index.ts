/** Guidance: classifier-free and its relatives, classifiers, CLIP. */
export * from "./apg.ts";
export * from "./cfg-plus-plus.ts";
export * from "./cfg-zero-star.ts";
export * from "./classifier.ts";
export * from "./classifier-free.ts";
export * from "./clip-guidance.ts";
export * from "./composable.ts";
export * from "./guided-denoiser.ts";
export * from "./interval.ts";
export * from "./mimic-thresholding.ts";
export * from "./perturbed.ts";
export * from "./rescale.ts";
export * from "./types.ts";
