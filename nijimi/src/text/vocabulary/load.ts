/**
 * The vocabularies that come with nijimi. Each is a module of its own, imported when first asked for and part of
 * whatever bundle asks; nothing is fetched from elsewhere.
 */
import type { Bpe } from "../bpe.ts";
import { unpackVocabulary } from "./packed.ts";

/**
 * CLIP's vocabulary: 49,408 tokens with both markers, of Stable Diffusion and of every CLIP and open_clip model.
 *
 * @example
 * const tokenizer = createClipTokenizer({ bpe: await loadClipVocabulary() });
 */
export async function loadClipVocabulary(): Promise<Bpe> {
  return unpackVocabulary((await import("./clip-merges.ts")).CLIP_MERGES);
}

/** GPT-2's vocabulary: 50,257 tokens, the last of which is `<|endoftext|>`. GLIDE's too. */
export async function loadGpt2Vocabulary(): Promise<Bpe> {
  return unpackVocabulary((await import("./gpt2-merges.ts")).GPT2_MERGES);
}
