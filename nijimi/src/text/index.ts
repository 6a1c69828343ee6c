/**
 * Text: prompts to token ids (CLIP, T5, GLIDE) and the prompt grammar of the A1111 web UI.
 */
export type { AddedToken } from "./added-tokens.ts";
export type { Span } from "./aligned-text.ts";
export * from "./bpe-files.ts";
export { createBpe, type Bpe, type Merge } from "./bpe.ts";
export { CLIP_CLEANINGS, type ClipCleaning } from "./clip-cleaning.ts";
export * from "./clip.ts";
export * from "./glide.ts";
export * from "./load-tokenizer.ts";
export * from "./prompt/attention.ts";
export * from "./prompt/chunks.ts";
export * from "./prompt/clip-skip.ts";
export * from "./prompt/conjunction.ts";
export * from "./prompt/emphasis.ts";
export * from "./prompt/networks.ts";
export * from "./prompt/plan.ts";
export * from "./prompt/schedule.ts";
export * from "./sentencepiece.ts";
export * from "./textual-inversion.ts";
export * from "./tokenizer-json/tokenizer-json.ts";
export * from "./tokenizer.ts";
export * from "./vocabulary/load.ts";
