export * from "./compile-with-vjp.ts";
export * from "./gaussian-terms.ts";
export * from "./normal-distribution.ts";
export * from "./probability-flow.ts";
export * from "./reverse-step.ts";
export * from "./runge-kutta.ts";
export * from "./variational-bound.ts";
