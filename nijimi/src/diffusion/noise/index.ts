export { type BrownianNoiseOptions, brownianNoise } from "./brownian-noise.ts";
export { type BrownianTree, type BrownianTreeOptions, brownianTree } from "./brownian-tree.ts";
export { type ImageNoise, type ImageNoiseOptions, imageNoise } from "./image-noise.ts";
export { type SeedSequenceOptions, seedSequenceWords } from "./seed-sequence.ts";
export { sequentialNoise } from "./sequential-noise.ts";
export { slerp } from "./slerp.ts";
