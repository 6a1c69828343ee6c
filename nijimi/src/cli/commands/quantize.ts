/** `nijimi quantize`: a model with small weights. */
import { QUANTIZED_PRECISIONS } from "../../checkpoints/quantized/policy.ts";
import { quantizeCheckpoint } from "../../checkpoints/quantized/quantize.ts";
import { defineCommand } from "../command.ts";
import { locateModel } from "../generate/locate.ts";
import type { Progress } from "../progress.ts";

export const command = defineCommand({
  description: "Make a model's weights small: 8 or 4 bits, for speed or for little memory",
  options: {
    model: { type: "argument", description: "File, folder, or a name in the models folder" },
    output: { type: "string", alias: "o", hint: "folder", description: "Folder to be written" },
    mode: {
      type: "choice",
      choices: QUANTIZED_PRECISIONS,
      default: "int8",
      description: "int8 multiplies bytes and is fast; the others only hold weights in 8 or 4 bits",
    },
    variant: { type: "string", description: "Weights of this variant in a folder, such as fp16" },
    overwrite: { type: "boolean", description: "Replace what is at the output" },
  },
  examples: [
    {
      command: "quantize v1-5.safetensors -o v1-5-int8",
      description: "For speed; `nijimi generate --model v1-5-int8` uses it",
    },
    {
      command: "quantize v1-5.safetensors --mode int4-weights -o v1-5-int4",
      description: "For little memory",
    },
  ],
  async run({ model, output, mode, variant, overwrite }, { env, signal, result, progress }) {
    let display: Progress | undefined;
    const input = await locateModel(model, env);
    const target = output ?? `${input.replace(/[\\/]+$/, "").replace(/\.\w+$/, "")}-${mode}`;
    const quantization = await quantizeCheckpoint(input, target, {
      precision: mode,
      variant,
      overwrite,
      http: { signal },
      onTensor: (done, total, name) => {
        signal.throwIfAborted();
        display ??= progress({ label: "Quantising", unit: "tensor", total });
        display.update(done, name);
      },
    });
    display?.end();
    result(quantization, ({ title, precision, quantized, kept }) =>
      [
        `${title} → ${target}`,
        `  ${quantized} weights ${precision}, ${kept} tensors as they were`,
      ].join("\n"),
    );
  },
});
