/** The answer as bytes, without the date. */
export const OK_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\nDate: *\r\n\r\n';
export const OK = `${OK_HEAD}OK`;
