/** Parses server-sent events from a body. */
export interface StreamEvent {
  /** Absent in a note about the stream itself. */
  id: string | undefined;
  name: string;
  data: Record<string, unknown>;
}

export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamEvent> {
  let rest = '';
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + chunk).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = new Map(
        block
          .split('\n')
          .map((line) => /^(\w+): ?(.*)$/.exec(line))
          .map((found) => [found?.[1] ?? '', found?.[2] ?? '']),
      );
      const data = fields.get('data');
      if (data === undefined) continue;
      yield { id: fields.get('id'), name: fields.get('event') ?? 'message', data: JSON.parse(data) };
    }
  }
}
