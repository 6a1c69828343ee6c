/**
 * The files of CLIP's tokenizer as transformers writes them, for folders made of single files, which carry no
 * vocabulary.
 */
import { loadClipVocabulary } from "../../../text/vocabulary/load.ts";
import { formatJson, type JsonObject } from "../../json.ts";

/** Number of tokens in CLIP's vocabulary; a text encoder with another number has another tokenizer. */
export const CLIP_VOCABULARY_SIZE = 49_408;

/**
 * Contents by file name.
 *
 * @param paddingToken `"!"` for OpenCLIP's towers in Stable Diffusion 2 and SDXL
 */
export async function clipTokenizerFiles(
  paddingToken: string,
): Promise<Readonly<Record<string, string>>> {
  const { tokens, ranks, merged } = await loadClipVocabulary();
  const merges: string[] = Array(merged.length);
  ranks.forEach((byRight, left) =>
    byRight?.forEach((rank, right) => (merges[rank] = `${tokens[left]} ${tokens[right]}`)),
  );
  const vocabulary = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const [start, end] = ["<|startoftext|>", "<|endoftext|>"].map(marker);
  const special = { bos_token: start, eos_token: end, unk_token: end, pad_token: paddingToken };
  const config: JsonObject = {
    add_prefix_space: false,
    bos_token: start,
    do_lower_case: true,
    eos_token: end,
    errors: "replace",
    model_max_length: 77,
    pad_token: paddingToken,
    tokenizer_class: "CLIPTokenizer",
    unk_token: end,
  };
  return {
    "vocab.json": JSON.stringify(vocabulary),
    "merges.txt": `#version: 0.2\n${merges.join("\n")}\n`,
    "special_tokens_map.json": formatJson(special),
    "tokenizer_config.json": formatJson(config),
  };
}

/** A marker as transformers describes it. */
function marker(content: string): JsonObject {
  return { content, lstrip: false, normalized: true, rstrip: false, single_word: false };
}
