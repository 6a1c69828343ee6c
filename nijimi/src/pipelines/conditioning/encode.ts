/**
 * Texts to what the U-Net is told: states of the text encoders, for SDXL of both side by side with the pooled
 * state of the second. A text is encoded by itself, chunk by chunk, so that it is the same in any batch.
 */
import { applyEmphasis, type EmphasisMode } from "../../text/prompt/emphasis.ts";
import type { HiddenState } from "../../text/prompt/clip-skip.ts";
import type { PromptGrammar } from "../../text/prompt/plan.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { ActiveDeltas } from "../networks/low-rank.ts";
import type { TextEncoder } from "../networks/text-encoder.ts";
import type { PromptTokeniser, TokenisedText } from "./tokens.ts";

type F32 = Tensor<"float32">;

/** One text encoder with its tokeniser and adapters. */
export interface EncoderSetup {
  readonly encoder: TextEncoder;
  readonly tokeniser: PromptTokeniser;
  readonly active: readonly ActiveDeltas[];
}

/** How texts are encoded. */
export interface EncodeOptions {
  readonly grammar: PromptGrammar;
  readonly emphasis: EmphasisMode;
  /** Which layer's state is taken. */
  readonly state: HiddenState;
  /** Chunks that every text has at least. @default 1 */
  readonly minChunks?: number;
}

/** One text's condition. */
export interface EncodedText {
  /** [T, D] */
  readonly context: F32;
  /** The last encoder's pooled state [E]. */
  readonly pooled: F32;
  /** Ids that did not fit. */
  readonly truncated: number;
}

/**
 * Encodes one text per encoder (SDXL may be told two different ones).
 *
 * @param texts as many as there are encoders
 */
export async function encodeText(
  texts: readonly string[],
  setups: readonly EncoderSetup[],
  options: EncodeOptions,
): Promise<EncodedText> {
  const tokenised = setups.map(({ tokeniser }, i) =>
    tokeniser.tokenise(texts[i], options.grammar, options.emphasis !== "ignore"),
  );
  const chunks = Math.max(
    options.minChunks ?? 1,
    ...tokenised.map(({ chunks: own }) => own.length),
  );
  const states: F32[] = [];
  let pooled: F32 | undefined;
  for (const [i, setup] of setups.entries()) {
    const encoded = await encodeChunks(setup, tokenised[i], chunks, options);
    states.push(encoded.context);
    pooled = encoded.pooled;
  }
  return {
    context: sideBySide(states),
    pooled: pooled as F32,
    truncated: Math.max(...tokenised.map(({ truncated }) => truncated)),
  };
}

async function encodeChunks(
  { encoder, tokeniser, active }: EncoderSetup,
  { chunks: own }: TokenisedText,
  count: number,
  { emphasis, state }: EncodeOptions,
): Promise<{ readonly context: F32; readonly pooled: F32 }> {
  const chunks = Array.from({ length: count }, (_, i) => own[i] ?? tokeniser.empty);
  const encoded = await encoder.encode(
    {
      ids: chunks.map(({ ids }) => ids),
      replacements: chunks.flatMap(({ vectors }, row) =>
        vectors.map(({ position, vector }) => ({ row, position, vector })),
      ),
    },
    state.fromEnd - 1,
    active,
  );
  const states = state.normalize ? encoded.normed : encoded.hidden;
  const weights = chunks.map((chunk) => chunk.weights);
  const isWeighted = weights.some((row) => row.some((weight) => weight !== 1));
  const { shape, data } = isWeighted ? applyEmphasis(states, weights, emphasis) : states;
  const width = encoded.pooled.shape[1];
  return {
    context: { dtype: "float32", shape: [shape[0] * shape[1], shape[2]], data },
    // The whole prompt's pooled state is its first chunk's.
    pooled: { dtype: "float32", shape: [width], data: encoded.pooled.data.slice(0, width) },
  };
}

/** [T, D₁] and [T, D₂] as [T, D₁ + D₂]. */
function sideBySide(states: readonly F32[]): F32 {
  if (states.length === 1) return states[0];
  const [tokens] = states[0].shape;
  const width = states.reduce((sum, { shape }) => sum + shape[1], 0);
  const data = new Float32Array(tokens * width);
  let column = 0;
  for (const { shape, data: own } of states) {
    for (let t = 0; t < tokens; t++)
      data.set(own.subarray(t * shape[1], (t + 1) * shape[1]), t * width + column);
    column += shape[1];
  }
  return { dtype: "float32", shape: [tokens, width], data };
}
