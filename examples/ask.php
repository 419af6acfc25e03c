<?php
// Asks Carat through the service, one call for each flow, and continues with the token.
require __DIR__ . '/carat.php';

const USAGE = <<<TEXT
php examples/ask.php schedule-edit SID AMOUNT
php examples/ask.php recharge USN DDD NUMBER AMOUNT
php examples/ask.php generic-operation OPERATION
php examples/ask.php cancellation ESITEF_USN USN AMOUNT

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no token came.
TEXT;

function ask_service(string $path, ?array $body = null): array
{
    [$status, $answer] = worker('POST', $path, $body);
    if ($status !== 201) {
        exit_with("no token: $status {$answer['code']}: {$answer['detail']}", $status === 504 ? 3 : 1);
    }
    return $answer;
}

function done(array $answered): array
{
    [$status, $answer] = $answered;
    if ($status !== 200) {
        exit_with("Carat refused: $status " . json_encode($answer));
    }
    return $answer;
}

function schedule_edit(string $sid, string $amount): void
{
    $edit = ask_service('/v1/schedule-edits', ['sid' => $sid]);
    $answer = done(carat('PUT', "/v1/schedules/edits/{$edit['seid']}", ['amount' => $amount]));
    echo "edited: {$answer['schedule_edit']['status']}, amount {$answer['schedule']['amount']}", PHP_EOL;
}

function recharge(string $usn, string $ddd, string $number, string $amount): void
{
    // From here on, the service owes Carat a decision. Without ours, it undoes the recharge.
    $nit = ask_service('/v1/recharges', ['merchant_usn' => $usn])['nit'];
    $order = ['amount' => $amount, 'dealer' => ['code' => '001'], 'phone' => ['ddd' => $ddd, 'number' => $number]];
    $base = getenv('CARAT_RECHARGE_URL') ?: 'http://127.0.0.1:8090/e-sitef';
    [$status, $answer] = try_call('PUT', "$base/v3/recharge/$nit", [], ['do_recharge_request' => $order]);
    $is_pending = $status === 200 && ($answer['do_recharge_response']['status'] ?? '') === 'PPC';
    echo "recharge $usn: ", decide($nit, $is_pending ? 'confirm' : 'undo'), PHP_EOL;
}

/** Repeats until the service has stored the decision. 202: the service continues automatically. */
function decide(string $nit, string $decision): string
{
    $base = getenv('WORKER_URL') ?: 'http://127.0.0.1:8081';
    $headers = ['Authorization: Bearer ' . getenv('WORKER_API_KEY')];
    for ($attempt = 0; $attempt < 10; $attempt++) {
        [$status, $answer] = try_call('PUT', "$base/v1/recharges/$nit", $headers, ['decision' => $decision]);
        if ($status === 200 || $status === 202) {
            return ($answer['end'] ?? $decision) . ' ' . ($answer['status'] ?? '');
        }
        if ($status !== 503 && $status !== 0) {
            exit_with("not decided: $status {$answer['code']}");
        }
        sleep(1);
    }
    exit_with('not decided: the service undoes the recharge');
}

/** Sends a call. The status is 0 if the connection fails. */
function try_call(string $method, string $url, array $headers, array $body): array
{
    $text = @file_get_contents($url, false, stream_context_create(['http' => [
        'method' => $method,
        'header' => [...$headers, 'Content-Type: application/json'],
        'content' => json_encode($body),
        'timeout' => 60,
        'ignore_errors' => true,
    ]]));
    $status = $text === false ? 0 : (int) explode(' ', $http_response_header[0])[1];
    return [$status, json_decode((string) $text, true) ?? []];
}

function generic_operation(string $operation): void
{
    $token = ask_service('/v1/generic-tokens')['token'];
    $answer = done(carat('POST', '/v1/genericoperations', ['operation' => $operation, 'parameters' => [
        'token' => $token,
        'authorizer_id' => '1',
        'terminal_id' => 'EXAMPLE1',
        'merchant_usn' => '1',
        'subfunction' => '01',
    ]]));
    echo "done: code {$answer['code']}", PHP_EOL;
}

function cancellation(string $esitef_usn, string $usn, string $amount): void
{
    $nit = ask_service('/v1/cancellations', ['esitef_usn' => $esitef_usn, 'merchant_usn' => $usn])['nit'];
    // Some acquirers need the card here, too.
    $answer = done(carat('PUT', "/v1/cancellations/$nit", ['amount' => $amount]));
    echo "cancelled: {$answer['cancellation']['status']}", PHP_EOL;
}

$arguments = ['schedule-edit' => 2, 'recharge' => 4, 'generic-operation' => 1, 'cancellation' => 3];
$flow = $argv[1] ?? '';
if (($arguments[$flow] ?? null) !== $argc - 2) {
    exit_with(USAGE, 2);
}
str_replace('-', '_', $flow)(...array_slice($argv, 2));
