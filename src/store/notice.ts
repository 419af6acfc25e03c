/** A message for the operator: it becomes a log line, an event and a count. */
export interface Notice {
  level: 'info' | 'warn' | 'error';
  code: string;
  message: string;
  /** Figures and names that belong to the message. */
  facts?: Record<string, string | number>;
}
