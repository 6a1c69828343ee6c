import { describe, expect, it } from "vitest";
import { add, div, matmul, mean, mul, square, sub, sum } from "../graph/ops.ts";
import { spec } from "../graph/trace.ts";
import { clipLogits, contrastiveLoss } from "../models/clip.ts";
import { constantInit, normalInit } from "../nn/initializers.ts";
import { torchGenerator } from "../tensor/random/torch.ts";
import { float32, type Tensor } from "../tensor/tensor.ts";
import type { Feed } from "./feed.ts";
import { type StepEnd, train, type TrainOptions } from "./loop.ts";
import { adamW } from "./optimisers/adam.ts";
import { sgd } from "./optimisers/sgd.ts";
import { initialVectors, type Program } from "./program.ts";
import { checkOneBatch } from "./sanity.ts";
import { DATA_START, type TrainingState } from "./state.ts";

/** y = x·w + b, fitted to what a fixed w makes of random x. */
function regression({ batchSize = 8, learningRate = 0.05 } = {}): Program {
  return {
    players: {
      model: {
        parameters: {
          w: { shape: [3, 2], init: normalInit(1) },
          b: { shape: [2], init: constantInit(0) },
        },
        optimiser: adamW({ weightDecay: 0.01 }),
        learningRate: () => learningRate,
        clipNorm: 1,
        ema: { decay: 0.9 },
      },
    },
    batch: { x: spec("float32", [batchSize, 3]), y: spec("float32", [batchSize, 2]) },
    losses: ({ scopes: { model }, batch: { x, y } }) => {
      const w = model.parameter("w", { shape: [3, 2], init: normalInit(1) });
      const b = model.parameter("b", { shape: [2], init: constantInit(0) });
      const loss = mean(square(sub(add(matmul(x, w), b), y)));
      return { losses: { model: loss }, metrics: { wSquared: sum(square(w)) } };
    },
  };
}

/** Rows of a fixed stream: a batch at position n holds rows n·size … */
function rows(batchSize: number, poison?: number): Feed {
  const random = torchGenerator(7);
  const all = random.randn([512, 3]).data;
  return async function* feed({ batch }) {
    for (let index = batch; ; index++) {
      const x = Float32Array.from(
        { length: batchSize * 3 },
        (_, i) => all[(index * batchSize * 3 + i) % all.length],
      );
      if (index === poison) x[4] = NaN;
      const y = Float32Array.from(
        { length: batchSize * 2 },
        (_, i) => x[3 * (i >> 1)] - (i % 2) * x[3 * (i >> 1) + 1],
      );
      yield {
        tensors: { x: float32([batchSize, 3], x), y: float32([batchSize, 2], y) },
        size: batchSize,
        next: { epoch: 0, batch: index + 1 },
        epoch: 0,
        broken: [],
      };
    }
  };
}

const begin = (program: Program): TrainingState => ({
  update: 0,
  samples: 0,
  position: DATA_START,
  vectors: initialVectors(program, () => torchGenerator(1)),
});

async function run(
  program: Program,
  options: Partial<TrainOptions> & { readonly feed: Feed },
): Promise<StepEnd[]> {
  const events: StepEnd[] = [];
  for await (const event of train(program, {
    start: begin(program),
    updates: 12,
    threads: 1,
    now: () => performance.now(),
    ...options,
  }))
    if (event.type === "step-end") events.push(event);
  return events;
}

const parametersOf = ({ state }: StepEnd): number[] => [
  ...(state.vectors["model"]["parameters"].data as Float32Array),
];

const expectClose = (a: readonly number[], b: readonly number[], tolerance = 1e-5) =>
  a.forEach((value, i) => expect(Math.abs(value - b[i])).toBeLessThan(tolerance));

describe("train", () => {
  it("lowers the loss and counts updates, samples and places", async () => {
    const events = await run(regression(), { feed: rows(8), updates: 60 });
    expect(events.at(-1)!.losses["model"]).toBeLessThan(0.3 * events[0].losses["model"]);
    expect(events.at(-1)!).toMatchObject({ update: 60, updates: 60, samples: 8 });
    expect(events.at(-1)!.state).toMatchObject({ samples: 480, position: { epoch: 0, batch: 60 } });
    expect(events[0].gradientNorms["model"]).toBeGreaterThan(0);
    expect(events[0].metrics["wSquared"]).toBeGreaterThan(0);
  });

  it("goes on from a state bit for bit", async () => {
    const program = regression();
    const whole = await run(program, { feed: rows(8) });
    const half = await run(program, { feed: rows(8), updates: 5 });
    const rest = await run(program, { feed: rows(8), start: half.at(-1)!.state });
    expect(rest).toHaveLength(7);
    for (const name of ["parameters", "m", "v", "ema"])
      expect(rest.at(-1)!.state.vectors["model"][name].data).toEqual(
        whole.at(-1)!.state.vectors["model"][name].data,
      );
  });

  it("averages over accumulated batches as one batch of their size would", async () => {
    const small = await run(regression({ batchSize: 4 }), { feed: rows(4), accumulate: 2 });
    const large = await run(regression(), { feed: rows(8) });
    expectClose(parametersOf(small.at(-1)!), parametersOf(large.at(-1)!));
    expectClose(
      small.map(({ losses }) => losses["model"]),
      large.map(({ losses }) => losses["model"]),
    );
    expect(small.at(-1)!.state.samples).toBe(96);
  });

  it("averages gradients over processes", async () => {
    // Two processes in step: each waits for the other's vector, then both have the mean.
    const waiting: { vector: Float32Array; done: () => void }[] = [];
    const average = (vector: Float32Array) =>
      new Promise<void>((done) => {
        waiting.push({ vector, done });
        if (waiting.length < 2) return;
        const [a, b] = waiting.splice(0);
        for (let i = 0; i < vector.length; i++) {
          const mean = (a.vector[i] + b.vector[i]) / 2;
          [a.vector[i], b.vector[i]] = [mean, mean];
        }
        a.done();
        b.done();
      });
    const share = (index: number): Feed => {
      const whole = rows(8);
      return async function* feed(from) {
        for await (const batch of whole(from)) {
          const part = ({ data }: Tensor, width: number) =>
            float32(
              [4, width],
              (data as Float32Array).slice(index * 4 * width, (index + 1) * 4 * width),
            );
          const { x, y } = batch.tensors;
          yield { ...batch, size: 4, tensors: { x: part(x, 3), y: part(y, 2) } };
        }
      };
    };
    const program = regression({ batchSize: 4 });
    const rest = { average, gather: () => new Float32Array(0), broadcast: () => {} };
    const [first, second] = await Promise.all(
      [0, 1].map((index) =>
        run(program, { feed: share(index), together: { index, count: 2, ...rest } }),
      ),
    );
    const alone = await run(regression(), { feed: rows(8) });
    expect(parametersOf(first.at(-1)!)).toEqual(parametersOf(second.at(-1)!));
    expectClose(parametersOf(first.at(-1)!), parametersOf(alone.at(-1)!));
    expect(first.at(-1)!.state.samples).toBe(96);
  });

  it("names the update and the tensor that is not finite", async () => {
    await expect(run(regression(), { feed: rows(8, 3) })).rejects.toMatchObject({
      code: "numeric",
      message: expect.stringContaining("Update 4: input x is not finite"),
    });
    const diverging = regression({ learningRate: 1e30 });
    await expect(run(diverging, { feed: rows(8) })).rejects.toThrow(/the loss "model" is/);
  });

  it("checks that one batch is learnt, with the largest of the rates", async () => {
    const options = { planned: 100, randomFor: () => torchGenerator(1), now: () => 0, threads: 1 };
    const program = regression();
    const rising = (rate: number): Program => ({
      ...program,
      players: {
        model: { ...program.players["model"], learningRate: (n) => (rate * n) / 100 },
      },
    });
    const { first, last, updates } = await checkOneBatch(rising(0.1), {
      ...options,
      feed: rows(8),
    });
    expect(updates).toBe(60);
    expect(last).toBeLessThan(0.5 * first);
    await expect(checkOneBatch(rising(0), { ...options, feed: rows(8) })).rejects.toMatchObject({
      code: "numeric",
      message: expect.stringContaining("is not learnt"),
    });
  });

  it("compares embeddings across the parts of a batch", async () => {
    const random = torchGenerator(3);
    const shapes = { a: [3, 4], b: [2, 4], scale: [] };
    const contrastive = (batchSize: number): Program => ({
      players: {
        model: {
          parameters: {
            a: { shape: shapes.a, init: normalInit(1) },
            b: { shape: shapes.b, init: normalInit(1) },
            scale: { shape: shapes.scale, init: constantInit(1) },
          },
          optimiser: sgd({ momentum: 0.5 }),
          learningRate: () => 0.1,
        },
      },
      batch: regression({ batchSize }).batch,
      embed: ({ scopes: { model }, batch: { x, y } }) => ({
        x: matmul(x, model.parameter("a", { shape: shapes.a, init: normalInit(1) })),
        y: matmul(y, model.parameter("b", { shape: shapes.b, init: normalInit(1) })),
      }),
      losses: ({ scopes: { model }, embeds: { x, y } }) => {
        const scale = model.parameter("scale", { shape: [], init: constantInit(1) });
        return { losses: { model: contrastiveLoss(clipLogits(x, y, scale)) } };
      },
    });
    const start = {
      ...begin(contrastive(8)),
      vectors: initialVectors(contrastive(8), () => random),
    };
    const whole = await run(contrastive(8), { feed: rows(8), start, updates: 5 });
    const parts = await run(contrastive(2), { feed: rows(2), start, updates: 5, accumulate: 4 });
    expectClose(
      parts.map(({ losses }) => losses["model"]),
      whole.map(({ losses }) => losses["model"]),
    );
    expectClose(parametersOf(parts.at(-1)!), parametersOf(whole.at(-1)!), 1e-4);
  });

  it("refuses to split what cannot be split", async () => {
    const program = { ...regression(), indivisible: "its loss compares all samples" };
    await expect(run(program, { feed: rows(8), accumulate: 2 })).rejects.toThrow(
      "its loss compares all samples",
    );
  });

  it("moves two players by their own losses, each seeing the other", async () => {
    const scalarPlayer = {
      parameters: { x: { shape: [1], init: constantInit(1) } },
      optimiser: adamW({ weightDecay: 0 }),
      learningRate: () => 0.1,
    };
    const program: Program = {
      players: { min: scalarPlayer, max: scalarPlayer },
      batch: { one: spec("float32", [1]) },
      losses: ({ scopes, batch }) => {
        const [a, b] = ["min", "max"].map((name) =>
          scopes[name].parameter("x", scalarPlayer.parameters.x),
        );
        const value = mean(mul(mul(a, b), batch["one"]));
        return { losses: { min: value, max: div(value, -1) } };
      },
    };
    const feed: Feed = async function* () {
      for (let batch = 1; ; batch++)
        yield {
          tensors: { one: float32([1], [1]) },
          size: 1,
          next: { epoch: 0, batch },
          epoch: 0,
          broken: [],
        };
    };
    const [event] = await run(program, { feed, updates: 1 });
    const value = (name: string) => event.state.vectors[name]["parameters"].data[0] as number;
    expect(value("min")).toBeCloseTo(0.9, 4);
    expect(value("max")).toBeCloseTo(1.1, 4);
  });

  it("stops at the signal, between updates", async () => {
    const controller = new AbortController();
    const seen: number[] = [];
    const program = regression();
    const events = train(program, {
      feed: rows(8),
      start: begin(program),
      updates: 100,
      signal: controller.signal,
      now: () => 0,
    });
    await expect(async () => {
      for await (const event of events) {
        if (event.type === "step-end") seen.push(event.update);
        if (seen.length === 3) controller.abort(new Error("enough"));
      }
    }).rejects.toThrow("enough");
    expect(seen).toEqual([1, 2, 3]);
  });
});
