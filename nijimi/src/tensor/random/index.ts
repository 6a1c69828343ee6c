export * from "./derive.ts";
export * from "./numpy.ts";
export * from "./philox.ts";
export * from "./streams.ts";
export * from "./torch.ts";
