export * from "./blocks/attention.ts";
export * from "./blocks/embeddings.ts";
export * from "./blocks/resnet.ts";
export * from "./blocks/unet-blocks.ts";
export * from "./unet-2d.ts";
export * from "./unet-2d-condition.ts";
