/** `nijimi inspect`: what a file or folder is, what it holds, what is missing. */
import {
  inspectCheckpoint,
  type ComponentReport,
  type Report,
} from "../../checkpoints/report/inspect.ts";
import type { JsonValue } from "../../checkpoints/json.ts";
import { defineCommand } from "../command.ts";
import { formatBytes, formatCount } from "../format.ts";

/** Lines of a list before the rest is counted. */
const SHOWN = 12;
/** Characters of a metadata value before it is cut. */
const VALUE_WIDTH = 80;

export const command = defineCommand({
  description: "Say what a checkpoint, adapter or embedding is and what it holds",
  options: {
    path: { type: "argument", description: "File, folder or URL" },
    tensors: { type: "boolean", description: "List every tensor" },
    values: {
      type: "boolean",
      description: "Read every tensor and name those with NaN or infinity",
    },
    variant: { type: "string", description: "Weights of this variant in a folder, such as fp16" },
  },
  examples: [
    { command: "inspect model.safetensors", description: "Family, networks, what is missing" },
    { command: "inspect stable-diffusion-v1-5/", description: "A folder as diffusers has it" },
    { command: "inspect style.safetensors --json", description: "An adapter, for a program" },
  ],
  async run({ path, tensors, values, variant }, { signal, result }) {
    const report = await inspectCheckpoint(path, { tensors, values, variant, http: { signal } });
    result(report, (value) => render(value).join("\n"));
  },
});

function render(report: Report): string[] {
  const { name, title, format, pipeline, parameters, bytes, dtypes } = report;
  return [
    title,
    field("file", name),
    field("format", pipeline === undefined ? format : `${format} (${pipeline})`),
    field("parameters", `${formatCount(parameters)}, ${formatBytes(bytes)}, ${typesOf(dtypes)}`),
    ...adapterLines(report),
    ...Object.entries(report.schedulers).map(([scheduler, config]) =>
      field(scheduler, [config._class_name, config.prediction_type].filter(Boolean).join(", ")),
    ),
    ...table(report.components),
    ...problems(report),
    ...metadataLines(report),
    ...list(
      "tensors",
      report.tensorList?.map((tensor) => `${tensor.name}  ${tensor.dtype} [${tensor.shape}]`) ?? [],
      Infinity,
    ),
  ];
}

function field(label: string, value: string): string {
  return `  ${label.padEnd(12)} ${value}`;
}

function typesOf(dtypes: Readonly<Record<string, number>>): string {
  return Object.entries(dtypes)
    .sort(([, a], [, b]) => b - a)
    .map(([dtype]) => dtype)
    .join(", ");
}

function adapterLines({ adapter, embedding }: Report): string[] {
  if (adapter)
    return [
      field("for", adapter.base ?? "a model that its names do not tell"),
      field("modules", `${adapter.modules}, rank ${adapter.ranks.join(", ") || "–"}`),
    ];
  if (!embedding) return [];
  return [
    field("for", embedding.base ?? "a model that its width does not tell"),
    field("word", `${embedding.token ?? "the file's name"}, ${embedding.vectors} vectors`),
  ];
}

function table(components: readonly ComponentReport[]): string[] {
  if (components.length === 0) return [];
  const rows = components.map((component) => [
    component.name,
    component.className,
    formatCount(component.parameters),
    typesOf(component.dtypes),
    stateOf(component),
  ]);
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return [
    "",
    ...rows.map(
      (row) =>
        `  ${row
          .map((cell, column) => cell.padEnd(widths[column]))
          .join("  ")
          .trimEnd()}`,
    ),
  ];
}

function stateOf({
  checked,
  missing,
  unexpected,
  mismatched,
  unused,
  undetermined,
  problem,
}: ComponentReport): string {
  const parts = [
    missing.length > 0 && `${missing.length} missing`,
    mismatched.length > 0 && `${mismatched.length} of another shape`,
    unexpected.length > 0 && `${unexpected.length} unexpected`,
    unused > 0 && `${unused} unused`,
    undetermined.length > 0 && `unknown: ${undetermined.join(", ")}`,
  ].filter((part) => part !== false);
  if (parts.length > 0) return parts.join(", ");
  if (problem !== undefined) return "cannot be run";
  return checked ? "complete" : "not checked";
}

function problems({ missing, unexpected, components, notes, nonFinite }: Report): string[] {
  const mismatched = components.flatMap((component) =>
    component.mismatched.map(
      ({ name, expected, got }) => `${component.name}.${name}: [${got}], expected [${expected}]`,
    ),
  );
  return [
    ...list(
      "problems",
      components.flatMap(({ name, problem }) =>
        problem === undefined ? [] : `${name}: ${problem}`,
      ),
    ),
    ...list("missing", missing),
    ...list("of another shape", mismatched),
    ...list("unexpected", unexpected),
    ...list("not finite", nonFinite ?? []),
    ...(nonFinite?.length === 0 ? ["", "  all values are finite"] : []),
    ...list("notes", notes),
  ];
}

function metadataLines({ metadata }: Report): string[] {
  return list(
    "metadata",
    Object.entries(metadata).map(([key, value]) => `${key}: ${shorten(value)}`),
  );
}

function list(title: string, items: readonly string[], shown = SHOWN): string[] {
  if (items.length === 0) return [];
  const rest = items.length - shown;
  return [
    "",
    `  ${title} (${items.length})`,
    ...items.slice(0, shown).map((item) => `    ${item}`),
    ...(rest > 0 ? [`    and ${rest} more`] : []),
  ];
}

function shorten(value: JsonValue): string {
  const line = (typeof value === "string" ? value : JSON.stringify(value)).replace(/\s+/g, " ");
  return line.length > VALUE_WIDTH ? `${line.slice(0, VALUE_WIDTH)}…` : line;
}
