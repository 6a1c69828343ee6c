/** `nijimi convert`: a checkpoint in another form. */
import { CONVERSION_TARGETS, convertCheckpoint } from "../../checkpoints/convert.ts";
import { defineCommand } from "../command.ts";
import type { Progress } from "../progress.ts";

export const command = defineCommand({
  description: "Convert a checkpoint: to a diffusers folder, a single file, or safetensors",
  options: {
    input: { type: "argument", description: "File, folder or URL" },
    output: { type: "argument", description: "File that ends in .safetensors, or folder" },
    to: {
      type: "choice",
      choices: CONVERSION_TARGETS,
      description: "Form of the output; by default told from its name",
    },
    dtype: {
      type: "choice",
      choices: ["float32", "float16", "bfloat16"],
      description: "Element type of the weights; by default as they are",
    },
    variant: { type: "string", description: "Weights of this variant in a folder, such as fp16" },
    ema: { type: "boolean", description: "Take the running average of a single file's U-Net" },
    overwrite: { type: "boolean", description: "Replace what is at the output" },
  },
  examples: [
    {
      command: "convert model.ckpt model.safetensors",
      description: "The same tensors, in a format that runs no code",
    },
    {
      command: "convert model.safetensors model/ --dtype float16",
      description: "A folder for Python's diffusers, halved",
    },
    {
      command: "convert model/ model.safetensors",
      description: "A folder as one file under the original names",
    },
  ],
  async run({ input, output, to, dtype, variant, ema, overwrite }, { signal, result, progress }) {
    let display: Progress | undefined;
    const conversion = await convertCheckpoint(input, output, {
      to,
      dtype,
      variant,
      ema,
      overwrite,
      http: { signal },
      onTensor: (done, total, name) => {
        signal.throwIfAborted();
        display ??= progress({ label: "Converting", unit: "tensor", total });
        display.update(done, name);
      },
    });
    display?.end();
    result(conversion, ({ title, notes }) =>
      [`${title} → ${output}`, ...notes.map((note) => `  ${note}`)].join("\n"),
    );
  },
});
