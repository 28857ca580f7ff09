// The units that usage is counted in, and whose price each takes when it has none of its own (wire/units.py).

const MODALITIES = ["text", "audio", "image", "video"];

const FALLBACKS = new Map([
  ["cache_read", ["input"]],
  ["cache_write", ["input"]],
  ["cache_write_5m", ["cache_write", "input"]],
  ["cache_write_1h", ["cache_write", "input"]],
  ["tool_in", ["input"]],
  ["reasoning", ["output"]],
  ["citation", ["output"]],
  ...MODALITIES.flatMap(tokensOf),
  ["audio_in_seconds", ["audio_seconds"]],
  ["audio_out_seconds", ["audio_seconds"]],
  ["annotated_pages_in", ["pages_in"]],
]);

/** Tokens that went in, cached ones included: what context-length tiers are decided by. */
export const INPUT_TOKENS = new Set([
  ...["input", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h", "tool_in"],
  ...MODALITIES.flatMap((each) =>
    ["in", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h", "tool_in"].map((end) => `${each}_${end}`),
  ),
]);

/** Having no price for a request is no gap: few providers charge for it. */
export const OPTIONAL = new Set(["requests"]);

export const fallbacksOf = (unit) => FALLBACKS.get(unit) ?? [];

function tokensOf(modality) {
  const [into, out, write] = [`${modality}_in`, `${modality}_out`, `${modality}_cache_write`];
  const plain = ["cache_write", into, "input"];
  return [
    [into, ["input"]],
    [out, ["output"]],
    [`${modality}_cache_read`, ["cache_read", into, "input"]],
    [write, plain],
    [`${write}_5m`, [write, "cache_write_5m", ...plain]],
    [`${write}_1h`, [write, "cache_write_1h", ...plain]],
    [`${modality}_tool_in`, ["tool_in", into, "input"]],
    [`${modality}_reasoning`, ["reasoning", out, "output"]],
    [`${modality}_citation`, ["citation", out, "output"]],
  ];
}
