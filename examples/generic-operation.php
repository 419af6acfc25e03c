<?php
// Claims a token: runs a generic operation: php examples/generic-operation.php JOB_ID [OPERATION]
require __DIR__ . '/carat.php';

if ($argc < 2) {
    fwrite(STDERR, "usage: generic-operation.php JOB_ID [OPERATION]\n");
    exit(2);
}
[$job, $operation] = [$argv[1], $argv[2] ?? '100'];

// With ACCEPT=expected, only an announced token is handed out.
[$status, $place] = worker('POST', '/v1/expectations', ['kind' => 'token']);
if ($status !== 201) {
    exit_with('cannot announce: ' . json_encode($place));
}
[$status, $asked] = carat('GET', '/v1/token');
if ($status !== 200) {
    worker('DELETE', "/v1/expectations/{$place['id']}");
    exit_with('Carat refused: ' . json_encode($asked));
}

// The claim is exclusive for a minute. The same job id gets the same token again.
[$status, $token] = worker('PUT', "/v1/claims/$job", ['kind' => 'token', 'wait' => 25, 'lease' => 60]);
if ($status !== 200) {
    exit_with("no token: $status " . ($token['code'] ?? ''));
}

// Carat burns the token before the operation runs: from here on it is used, with any result.
worker('DELETE', "/v1/claims/$job");
[$status, $done] = carat('POST', '/v1/genericoperations', ['operation' => $operation, 'parameters' => [
    'token' => $token['value'],
    'authorizer_id' => '1',
    'terminal_id' => 'EXAMPLE1',
    'merchant_usn' => '1',
    'subfunction' => '01',
]]);
if ($status !== 200) {
    exit_with('not done, ask for a new token: ' . json_encode($done));
}
echo "done: code {$done['code']}", PHP_EOL;
