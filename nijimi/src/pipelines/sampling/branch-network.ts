/**
 * The U-Net for several branches of guidance and all images of a batch: rows of equal context length are run
 * together, so that an image is the same in any batch. ControlNets and added channels join in here.
 */
import { type Guidance, UNCOND } from "../../guidance/types.ts";
import { NijimiError } from "../../errors.ts";
import type { Network } from "../../diffusion/parameterisations/denoiser.ts";
import { guessModeScales } from "../../models/controlnet.ts";
import { concatenate, sliceRows, stack } from "../../tensor/shape.ts";
import { float32, type Tensor } from "../../tensor/tensor.ts";
import { type Condition, type Conditions, isNegative } from "../conditioning/conditions.ts";
import type { ControlNetwork, Residuals } from "../networks/control.ts";
import type { EncodedPictures } from "../networks/image-prompt.ts";
import type { AdapterLoad } from "../networks/low-rank.ts";
import type { ImageTokens, Unet, UnetCall } from "../networks/unet.ts";

type F32 = Tensor<"float32">;

/** A ControlNet in use. */
export interface ActiveControl {
  readonly network: ControlNetwork;
  /** [B, C, H, W] in [0, 1], or one for all images. */
  readonly hint: F32;
  readonly scale: number;
  /** Shares of the evaluations between which it is active. */
  readonly start: number;
  readonly end: number;
  /** Only the prompt's branch is controlled, deep states most. */
  readonly guessMode: boolean;
}

/** A T2I-Adapter in use. */
export interface ActiveFeatures {
  /** Per level, [B, C, h, w] or one for all images. */
  readonly features: readonly F32[];
  /** Share of the evaluations after which it ends. */
  readonly end: number;
}

/** What the network is run with through a whole sampling. */
export interface NetworkSetup {
  readonly unet: Unet;
  readonly load: AdapterLoad;
  readonly conditions: Conditions;
  readonly controls: readonly ActiveControl[];
  /** Beside the latents: mask and masked picture, depth, a small picture. [B, C, h, w], or one per branch. */
  readonly extraChannels?: F32 | ((branch: string) => F32);
  /** Per image. */
  readonly classLabels?: Tensor;
  readonly timestepCond?: F32;
  readonly adapters: readonly ActiveFeatures[];
  /** What IP-Adapters see. */
  readonly imagePrompts: readonly EncodedPictures[];
  readonly freeU?: F32;
  /** Evaluations in all, for shares of them. */
  readonly evaluations: number;
  /** Most rows (images × branches) in one run, for small memories. @default all */
  readonly maxRows?: number;
}

interface Row {
  readonly branch: string;
  readonly image: number;
  readonly condition: Condition;
}

/** Guidance over the network, as samplers call it. `sigmaAt` tells guidance the noise level of a timestep. */
export function guidedNetwork(
  setup: NetworkSetup,
  guidance: Guidance,
  sigmaAt: (timestep: number) => number,
): Network {
  let evaluation = 0;
  return async (x, timestep, { step }) => {
    const at = { sigma: sigmaAt(timestep), step };
    const branches = guidance.branches(at);
    const outputs = await runBranches(setup, x, timestep, branches, step, evaluation++);
    const combined = guidance.combine(
      Object.fromEntries(branches.map((name, i) => [name, outputs[i]])),
      at,
    );
    if ("prediction" in combined)
      throw new NijimiError(
        "unsupported",
        "This guidance renoises with another prediction (CFG++), which this sampler cannot do.",
      );
    return combined;
  };
}

async function runBranches(
  setup: NetworkSetup,
  x: F32,
  timestep: number,
  branches: readonly string[],
  step: number,
  evaluation: number,
): Promise<F32[]> {
  const [batch] = x.shape;
  const rows = branches.flatMap((branch) =>
    Array.from({ length: batch }, (_, image): Row => {
      return { branch, image, condition: setup.conditions.at(branch, image, step) };
    }),
  );
  const outputs = new Map<Row, F32>();
  for (const group of groups(rows, setup.maxRows ?? Infinity)) {
    const output = await runRows(setup, x, timestep, group, evaluation);
    group.forEach((row, i) => outputs.set(row, sliceRows(output, i, i + 1)));
  }
  return branches.map((_, b) =>
    concatenate(rows.slice(b * batch, (b + 1) * batch).map((row) => outputs.get(row) as F32)),
  );
}

/** Rows of equal context length, at most `most` in a group. */
function groups(rows: readonly Row[], most: number): Row[][] {
  const byLength = new Map<number, Row[][]>();
  for (const row of rows) {
    const [length] = row.condition.context.shape;
    const own = byLength.get(length) ?? [[]];
    if (own[own.length - 1].length >= most) own.push([]);
    own[own.length - 1].push(row);
    byLength.set(length, own);
  }
  return [...byLength.values()].flat();
}

async function runRows(
  setup: NetworkSetup,
  x: F32,
  timestep: number,
  rows: readonly Row[],
  evaluation: number,
): Promise<F32> {
  const pick = <T extends Tensor>(value: T): T =>
    concatenate(rows.map(({ image }) => rowOf(value, image))) as T;
  const ids = rows[0].condition.timeIds;
  const call = {
    sample: pick(x),
    timestep,
    context: stack(rows.map(({ condition }) => condition.context)),
    ...(ids && {
      textEmbeds: stack(rows.map(({ condition }) => condition.pooled)),
      timeIds: float32(
        [rows.length, ids.length],
        rows.flatMap(({ condition }) => condition.timeIds as number[]),
      ),
    }),
  };
  const control = await controlResiduals(setup, call, rows, evaluation);
  const { extraChannels, classLabels, timestepCond, freeU, imagePrompts } = setup;
  const levels = levelFeatures(setup, evaluation);
  return setup.unet.run(
    {
      ...call,
      sample: extraChannels
        ? joinChannels(call.sample, extraRows(extraChannels, rows))
        : call.sample,
      control,
      ...(classLabels && { classLabels: pick(classLabels) }),
      ...(timestepCond && { timestepCond: pick(timestepCond) }),
      ...(levels && { levels: levels.map(pick) }),
      ...(freeU && { freeU }),
      ...(imagePrompts.length > 0 && {
        imagePrompts: imagePrompts.map((own) => tokensOf(own, rows)),
      }),
    },
    setup.load,
  );
}

function extraRows(
  channels: NonNullable<NetworkSetup["extraChannels"]>,
  rows: readonly Row[],
): F32 {
  const of = typeof channels === "function" ? channels : () => channels;
  return concatenate(rows.map(({ branch, image }) => rowOf(of(branch), image)));
}

/** Row `index`, or the only one. */
function rowOf<T extends Tensor>(value: T, index: number): T {
  const at = value.shape[0] === 1 ? 0 : index;
  return sliceRows(value, at, at + 1) as T;
}

/** Sum of the features of all T2I-Adapters that are active now; undefined when none is. */
function levelFeatures(
  { adapters, evaluations }: NetworkSetup,
  evaluation: number,
): readonly F32[] | undefined {
  const active = adapters.filter(({ end }) => evaluation < Math.trunc(evaluations * end));
  if (active.length === 0) return undefined;
  return active
    .map(({ features }) => features)
    .reduce((sum, own) => sum.map((level, i) => plus(level, own[i])));
}

/** What each row's attentions see of pictures: the negative prompt sees none. */
function tokensOf({ given, blank }: EncodedPictures, rows: readonly Row[]): ImageTokens {
  const each = rows.map(({ branch }) => (isNegative(branch) ? blank : given));
  return Object.fromEntries(
    Object.keys(given).map((path) => [
      path,
      {
        keys: concatenate(each.map((own) => own[path].keys)),
        values: concatenate(each.map((own) => own[path].values)),
      },
    ]),
  );
}

/** Sum of the residuals of all ControlNets that are active now; undefined when none is. */
async function controlResiduals(
  { controls, evaluations }: NetworkSetup,
  call: UnetCall,
  rows: readonly Row[],
  evaluation: number,
): Promise<Residuals | undefined> {
  let sum: Residuals | undefined;
  for (const control of controls) {
    const { start, end, scale } = control;
    const isActive = evaluation / evaluations >= start && (evaluation + 1) / evaluations <= end;
    if (!isActive || scale === 0) continue;
    const own = await residualsOf(control, call, rows);
    if (own !== undefined) sum = sum === undefined ? own : added(sum, own);
  }
  return sum;
}

async function residualsOf(
  { network, hint, scale, guessMode }: ActiveControl,
  call: UnetCall,
  rows: readonly Row[],
): Promise<Residuals | undefined> {
  const isGuessing = guessMode || network.config.globalPoolConditions;
  const controlled = rows.flatMap(({ branch }, i) => (isGuessing && branch === UNCOND ? [] : [i]));
  if (controlled.length === 0) return undefined;
  const pick = (value: F32): F32 => concatenate(controlled.map((i) => sliceRows(value, i, i + 1)));
  const factors =
    guessMode && !network.config.globalPoolConditions
      ? guessModeScales(network.states)
      : new Float32Array(network.states + 1).fill(1);
  const { down, mid } = await network.run({
    sample: pick(call.sample),
    timestep: call.timestep,
    context: pick(call.context),
    ...(call.textEmbeds && { textEmbeds: pick(call.textEmbeds) }),
    ...(call.timeIds && { timeIds: pick(call.timeIds) }),
    hint: concatenate(controlled.map((i) => rowOf(hint, rows[i].image))),
    scales: float32(
      [factors.length],
      factors.map((factor) => factor * scale),
    ),
  });
  const spread = (value: F32) => spreadRows(value, controlled, rows.length);
  return { down: down.map(spread), mid: spread(mid) };
}

/** Rows at their places among `count`, zeros at the others. */
function spreadRows(value: F32, places: readonly number[], count: number): F32 {
  if (places.length === count) return value;
  const size = value.data.length / places.length;
  const data = new Float32Array(count * size);
  places.forEach((place, i) =>
    data.set(value.data.subarray(i * size, (i + 1) * size), place * size),
  );
  return { ...value, shape: [count, ...value.shape.slice(1)], data };
}

function added(a: Residuals, b: Residuals): Residuals {
  return { down: a.down.map((state, i) => plus(state, b.down[i])), mid: plus(a.mid, b.mid) };
}

function plus(x: F32, y: F32): F32 {
  return { ...x, data: x.data.map((value, i) => value + y.data[i]) };
}

/** [B, C₁, H, W] and [B, C₂, H, W] → [B, C₁ + C₂, H, W]. */
export function joinChannels(...parts: readonly F32[]): F32 {
  const [batch, , height, width] = parts[0].shape;
  const channels = parts.reduce((sum, { shape }) => sum + shape[1], 0);
  const data = new Float32Array(batch * channels * height * width);
  let at = 0;
  for (let b = 0; b < batch; b++)
    for (const part of parts) {
      const size = part.data.length / batch;
      data.set(part.data.subarray(b * size, (b + 1) * size), at);
      at += size;
    }
  return { dtype: "float32", shape: [batch, channels, height, width], data };
}
