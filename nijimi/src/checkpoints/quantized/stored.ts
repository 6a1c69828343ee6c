/**
 * Quantised weights in a folder: `NAME.rows8` (or `channels8`, `blocks8`, `blocks4`) and `NAME.scale` in the place of
 * `NAME`, and in the network's `config.json`
 * `"quantization_config": {"quant_method": "nijimi", "version": 1, "precision": "int8"}`.
 * So a file says of each tensor what it is; Python's libraries refuse the method, which they do not know.
 */
import { NijimiError } from "../../errors.ts";
import type { QuantizedForm } from "../../graph/quantize-weights.ts";
import type { Entries, Entry } from "../checkpoint.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../json.ts";
import type { ParameterTable } from "../layouts/parameters/by-class.ts";
import { storedShapes, withFloats } from "./entries.ts";
import type { QuantizedPrecision } from "./policy.ts";

const METHOD = "nijimi";
const VERSION = 1;

/** Endings of tensor names. The size of blocks is in the values' shape. */
const ENDING = /^(.+)\.(rows8|channels8|blocks8|blocks4)$/;

/** What a network's config says of its weights. */
export function quantizationConfig(precision: QuantizedPrecision): JsonObject {
  return { quant_method: METHOD, version: VERSION, precision };
}

/** Tensors as they are written: a quantised weight is two of them. */
export function splitQuantized(entries: Entries): Record<string, Entry> {
  return Object.fromEntries(
    Object.entries(entries).flatMap(([name, entry]): [string, Entry][] => {
      if (entry.quantized === undefined) return [[name, entry]];
      const { form, values, scale } = entry.quantized;
      return [
        [`${name}.${endingOf(form)}`, values],
        [`${name}.scale`, scale],
      ];
    }),
  );
}

function endingOf(form: QuantizedForm): string {
  return form.form === "blocks" ? `blocks${form.bits}` : `${form.form}8`;
}

/**
 * Weights out of the tensors of a quantised file.
 *
 * @param table shapes of the network's parameters
 * @param scheme the config's `quantization_config`
 * @param where for messages
 * @throws NijimiError `unsupported` for schemes of others and later versions, `checkpoint` where tensors do not fit
 */
export function joinQuantized(
  entries: Entries,
  table: ParameterTable | undefined,
  scheme: JsonValue,
  where: string,
): Entries {
  if (!isJsonObject(scheme) || scheme.quant_method !== METHOD || scheme.version !== VERSION)
    throw new NijimiError(
      "unsupported",
      `${where} is quantised by ${JSON.stringify(scheme)}; accepted: quant_method "${METHOD}", version ${VERSION}. ` +
        "Use the unquantised model, and `nijimi quantize` for small weights.",
    );
  const joined = Object.create(null) as Record<string, Entry>;
  const scales = new Set<string>();
  for (const [stored, values] of Object.entries(entries)) {
    const [, name, ending] = ENDING.exec(stored) ?? [];
    if (name === undefined) continue;
    const scale = entries[`${name}.scale`];
    const shape = table?.get(name);
    const refuse = (problem: string) =>
      new NijimiError("checkpoint", `${where}: ${stored} ${problem}; quantise the model anew.`);
    if (scale === undefined) throw refuse(`has no ${name}.scale beside it`);
    if (shape === undefined) throw refuse("belongs to no parameter of the network");
    const form = formFrom(ending, values);
    const expected = storedShapes(form, shape);
    for (const [part, want] of [
      [values, expected.values],
      [scale, expected.scale],
    ] as const)
      if (part.dtype !== want.dtype || String(part.shape) !== String(want.shape))
        throw refuse(`is ${part.dtype}[${part.shape}]; expected ${want.dtype}[${want.shape}]`);
    joined[name] = withFloats(shape, { form, values, scale });
    scales.add(`${name}.scale`);
  }
  for (const [name, entry] of Object.entries(entries))
    if (!ENDING.test(name) && !scales.has(name)) joined[name] = entry;
  return joined;
}

function formFrom(ending: string, { shape }: Entry): QuantizedForm {
  if (ending === "rows8") return { form: "rows" };
  if (ending === "channels8") return { form: "channels" };
  const bits = ending === "blocks8" ? 8 : 4;
  return { form: "blocks", bits, blockSize: ((shape[2] ?? 0) * 8) / bits };
}
