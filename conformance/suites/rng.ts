/**
 * Random numbers: torch's CPU generator (fresh generators and one generator in sequence), NumPy's RandomState and the
 * Philox "NV" stream. What is drawn is read from the names of the tensors and the case's `config`.
 */
import {
  cast,
  float32,
  numpyRandomState,
  philoxGenerator,
  tensor,
  torchGenerator,
  type DrawDType,
  type Tensor,
  type TorchGenerator,
} from "nijimi/tensor";
import type { Case, Comparison, Suite } from "../case.ts";
import { compareTensors } from "../compare.ts";

const RUNNERS: Readonly<Record<string, (c: Case) => Iterable<[string, Tensor]>>> = {
  "torch.Generator().manual_seed(seed)": drawFresh,
  "torch.Generator": drawSequence,
  "numpy.random.RandomState": drawNumpy,
  "modules.rng_philox.Generator.randn": drawPhilox,
};

export const suite: Suite = {
  kind: "rng",
  accepts: ({ json }) =>
    json.section === "rng" && json.function !== undefined && json.function in RUNNERS,
  async run(c) {
    const expected = c.tensors();
    const comparisons: Comparison[] = [];
    for (const [name, got] of RUNNERS[c.json.function!](c))
      comparisons.push(compareTensors(name, got, expected[name], c.json.tolerance));
    return comparisons;
  },
};

/** `<out|f64>.<kind>.<seed>.<n>`: n numbers of a fresh generator. */
function* drawFresh(c: Case): Iterable<[string, Tensor]> {
  for (const [name, { shape }] of Object.entries(c.tensors())) {
    const [, kind, seed] = name.split(".");
    yield [name, drawKind(torchGenerator(BigInt(seed)), kind, shape)];
  }
}

/** Ranges that the cases name in words. */
const NAMED_RANGES: Readonly<Record<string, readonly [number, number]>> = {
  randint: [0, 50],
  randint_big: [0, 2 ** 40],
  randint_neg: [-7, 9],
};

function drawKind(generator: TorchGenerator, kind: string, shape: readonly number[]): Tensor {
  const [, base, bits] = /^(rand|randn)(32|64)?$/.exec(kind) ?? [];
  if (base)
    return generator[base as "rand" | "randn"](shape, bits === "64" ? "float64" : "float32");
  if (kind === "randperm") return generator.randperm(shape[0]);
  if (kind.startsWith("randint")) {
    const [low, high] = NAMED_RANGES[kind] ?? kind.split("_").slice(1).map(Number);
    return generator.randint(low, high, shape);
  }
  throw new Error(`unknown draw "${kind}"`);
}

/** `config.sequence` on one generator per seed, then `second_sequence` on a fresh one. */
function* drawSequence(c: Case): Iterable<[string, Tensor]> {
  const { seeds, sequence, second_sequence } = c.json.config as unknown as SequenceConfig;
  const names = Object.keys(c.json.tensors ?? c.tensors());
  for (const seed of seeds) {
    const ofSeed = names.filter((name) => name.split(".")[1] === seed);
    const isNumbered = (name: string) => /^\d+$/.test(name.split(".")[2]);
    const generator = torchGenerator(BigInt(seed));
    for (const [i, [kind, size]] of sequence.entries()) {
      const name = ofSeed.find(
        (candidate) => isNumbered(candidate) && Number(candidate.split(".")[2]) === i,
      )!;
      yield [name, drawKind(generator, kind, size.match(/\d+/g)!.map(Number))];
    }
    const second = torchGenerator(BigInt(seed));
    const texts = second_sequence ?? [];
    for (const [i, name] of ofSeed.filter((candidate) => !isNumbered(candidate)).entries())
      yield [name, drawText(second, texts[i])];
  }
}

interface SequenceConfig {
  readonly seeds: readonly string[];
  readonly sequence: readonly (readonly [string, string])[];
  readonly second_sequence?: readonly string[];
}

/** A draw as the case writes it: `"empty(18).normal_(3,2)"`, `"bernoulli(0.3) x20"`, `"randn(20) float16"`. */
function drawText(generator: TorchGenerator, text: string): Tensor {
  const numbers = (text.match(/-?\d*\.?\d+(?:e[-+]?\d+)?/g) ?? []).map(Number);
  const dtype = (/\b(float16|bfloat16|float64)\b/.exec(text)?.[1] ?? "float32") as DrawDType;
  if (text.startsWith("bernoulli")) return generator.bernoulliOf(constant(numbers[1], numbers[0]));
  if (text.startsWith("multinomial")) {
    const weights = /\[(.*?)\]/.exec(text)![1].split(",").map(Number);
    const replacement = /replacement/.test(text) && !/without/.test(text);
    return generator.multinomial(float32([weights.length], weights), numbers[weights.length], {
      replacement,
    });
  }
  const [size, a, b] = numbers;
  if (text.includes(".normal_")) return asFloat32(generator.normal([size], a, b, dtype));
  if (text.includes(".exponential_")) return asFloat32(generator.exponential([size], a, dtype));
  if (text.includes(".uniform_")) return asFloat32(generator.uniform([size], a, b, dtype));
  const kind = /^(randn|rand)\(/.exec(text)?.[1] as "rand" | "randn" | undefined;
  if (!kind) throw new Error(`unknown draw "${text}"`);
  return asFloat32(generator[kind]([size], dtype));
}

function constant(size: number, value: number): Tensor<"float32"> {
  return tensor("float32", [size], new Float32Array(size).fill(value));
}

/** The cases keep half types as float32. */
function asFloat32(x: Tensor): Tensor {
  return x.dtype === "float64" ? x : cast(x, "float32");
}

/** The probabilities of `legacy_choice_p`, which the case does not state. */
const CHOICE_P = [0.1, 0.2, 0.3, 0.15, 0.25];

/** `legacy_<what>.seed<seed>`: a fresh RandomState each. */
function* drawNumpy(c: Case): Iterable<[string, Tensor]> {
  for (const [name, { shape }] of Object.entries(c.tensors())) {
    const [, what, seed] = /legacy_(\w+)\.seed(\d+)$/.exec(name)!;
    const state = numpyRandomState(Number(seed));
    const [kind, ...bounds] = what.split("_");
    if (kind === "rand" || kind === "randn") yield [name, state[kind](shape)];
    else if (kind === "randint")
      yield [name, state.randint(Number(bounds[0]), Number(bounds[1]), shape)];
    else if (kind === "permutation") yield [name, state.permutation(shape[0])];
    else if (kind === "choice") yield [name, state.choice(CHOICE_P.length, shape, { p: CHOICE_P })];
    else throw new Error(`unknown draw "${what}"`);
  }
}

/** `out.<seed>.<call>.<shape>`: successive calls of one generator per seed. */
function* drawPhilox(c: Case): Iterable<[string, Tensor]> {
  const calls = Object.entries(c.tensors()).map(([name, { shape }]) => {
    const [, seed, call] = name.split(".");
    return { name, shape, seed, call: Number(call) };
  });
  for (const seed of new Set(calls.map((call) => call.seed))) {
    const generator = philoxGenerator(BigInt(seed));
    const ofSeed = calls.filter((call) => call.seed === seed).sort((a, b) => a.call - b.call);
    for (const { name, shape } of ofSeed) yield [name, generator.randn(shape)];
  }
}
