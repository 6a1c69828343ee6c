export * from "./convert.ts";
export * from "./dtype.ts";
export * from "./parameters.ts";
export * from "./quantize.ts";
export * from "./random/index.ts";
export * from "./shape.ts";
export * from "./tensor.ts";
