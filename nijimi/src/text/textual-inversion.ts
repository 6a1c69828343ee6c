/**
 * The words of textual inversion (Gal et al. 2022, arXiv:2208.01618) as tokens. An embedding of several vectors has
 * as many tokens, `word`, `word_1`, `word_2` …, and a prompt that says the word means all of them (diffusers'
 * convention).
 */
import { escapeRegExp, type AddedToken } from "./added-tokens.ts";

/**
 * Tokens for an embedding, with ids from `firstId` on.
 *
 * @param firstId the tokenizer's `vocabularySize`, which is the first row after the text encoder's own embeddings
 * @example
 * embeddingTokens("<cat-toy>", 2, 49408); // <cat-toy> is 49408, <cat-toy>_1 is 49409
 */
export function embeddingTokens(word: string, vectors: number, firstId: number): AddedToken[] {
  return Array.from({ length: vectors }, (_, i) => ({
    content: i === 0 ? word : `${word}_${i}`,
    id: firstId + i,
  }));
}

/** The prompt with every word of several vectors spelled out: "a <cat-toy>" → "a <cat-toy> <cat-toy>_1". */
export function spellOutEmbeddings(prompt: string, tokens: readonly AddedToken[]): string {
  const contents = new Set(tokens.map(({ content }) => content));
  const words = [...contents]
    .filter((word) => contents.has(`${word}_1`))
    .sort((a, b) => b.length - a.length);
  if (words.length === 0) return prompt;
  return prompt.replace(new RegExp(words.map(escapeRegExp).join("|"), "g"), (word) => {
    const all = [word];
    while (contents.has(`${word}_${all.length}`)) all.push(`${word}_${all.length}`);
    return all.join(" ");
  });
}
