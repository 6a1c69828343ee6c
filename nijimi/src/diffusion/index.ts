/** Schedules, parameterisations, losses, likelihoods and samplers of diffusion models. */
export * from "./schedules/index.ts";
