export * from "./convert.ts";
export * from "./dtype.ts";
export * from "./tensor.ts";
