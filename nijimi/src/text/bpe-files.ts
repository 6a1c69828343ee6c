/**
 * BPE vocabularies as files: `vocab.json` (token → id) with `merges.txt` (one merge a line, parts separated by a
 * space), and the same two as fields of a `tokenizer.json`.
 */
import { NijimiError } from "../errors.ts";
import { createBpe, type Bpe, type Merge } from "./bpe.ts";
import { array, index, object, string, type Json } from "./json-values.ts";

/** Ids above this are damage, not vocabulary. */
const MAX_ID = 1 << 20;

/**
 * A BPE from the contents of `vocab.json` (parsed) and its merges: the text of `merges.txt`, or the list of a
 * `tokenizer.json`, whose entries are pairs or texts with a space.
 *
 * @throws NijimiError `format` when a field has the wrong type or a merge speaks of a token that is not there
 */
export function parseBpe(vocabulary: Json, merges: Json): Bpe {
  const tokens: string[] = [];
  for (const [token, json] of Object.entries(object(vocabulary, "vocabulary"))) {
    const id = index(json, `id of ${JSON.stringify(token)}`);
    if (id > MAX_ID)
      throw new NijimiError(
        "format",
        `vocabulary: ${JSON.stringify(token)} has id ${id}; ids reach to ${MAX_ID}.`,
      );
    tokens[id] = token;
  }
  const ids = new Map<string, number>();
  tokens.forEach((token, id) => ids.set(token, id));
  const idOf = (token: string): number => {
    const id = ids.get(token);
    if (id === undefined)
      throw new NijimiError(
        "format",
        `merges: ${JSON.stringify(token)} is not in the vocabulary; the two files do not belong together.`,
      );
    return id;
  };
  const pairs = readMerges(merges).map(([left, right]): Merge => [
    idOf(left),
    idOf(right),
    idOf(left + right),
  ]);
  return createBpe(
    Array.from(tokens, (token) => token ?? ""),
    pairs,
  );
}

function readMerges(merges: Json): (readonly [string, string])[] {
  const entries = typeof merges === "string" ? mergeLines(merges) : array(merges, "merges");
  return entries.map((entry, line) => {
    const parts = typeof entry === "string" ? entry.split(" ") : array(entry, `merge ${line}`);
    if (parts.length !== 2)
      throw new NijimiError(
        "format",
        `merges: entry ${line} is ${JSON.stringify(entry)}; expected two parts.`,
      );
    return [string(parts[0], `merge ${line}`), string(parts[1], `merge ${line}`)];
  });
}

/** Lines of a `merges.txt` without the version line and empty ones. */
function mergeLines(text: string): string[] {
  const lines = text.split("\n").map((line) => line.replace(/\r$/, ""));
  return lines.filter((line, i) => line.trim() !== "" && !(i === 0 && line.startsWith("#version")));
}
