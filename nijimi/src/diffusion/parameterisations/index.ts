export * from "./clipping.ts";
export * from "./denoiser.ts";
export * from "./preconditioning.ts";
export * from "./prediction.ts";
export * from "./variance.ts";
