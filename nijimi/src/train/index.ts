export * from "./ema.ts";
export * from "./optimisers/adam.ts";
export * from "./optimisers/clip.ts";
export * from "./optimisers/optimiser.ts";
export * from "./optimisers/schedules.ts";
export * from "./optimisers/sgd.ts";
export * from "./step.ts";
