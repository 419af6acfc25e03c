// Asks Carat through the service, one call for each flow, and continues with the token. Needs .NET 8
// and no package:
// dotnet new console -o ask && cp examples/Ask.cs ask/Program.cs && dotnet run --project ask -- recharge USN DDD NUMBER AMOUNT
using System;
using System.Net.Http;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using System.Threading.Tasks;

const string Usage = """
    ask schedule-edit SID AMOUNT
    ask recharge USN DDD NUMBER AMOUNT
    ask generic-operation OPERATION
    ask cancellation ESITEF_USN USN AMOUNT

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no token came.
    """;

using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(60) };

try
{
    Console.WriteLine(args switch
    {
        ["schedule-edit", var sid, var amount] => await ScheduleEdit(sid, amount),
        ["recharge", var usn, var ddd, var number, var amount] => await Recharge(usn, ddd, number, amount),
        ["generic-operation", var operation] => await GenericOperation(operation),
        ["cancellation", var payment, var usn, var amount] => await Cancellation(payment, usn, amount),
        _ => throw new Failed(Usage, 2),
    });
    return 0;
}
catch (Failed failed)
{
    Console.Error.WriteLine(failed.Message);
    return failed.Code;
}

async Task<string> ScheduleEdit(string sid, string amount)
{
    var edit = await AskService("/v1/schedule-edits", new { sid });
    var answer = await Carat(HttpMethod.Put, $"/v1/schedules/edits/{edit["seid"]}", new { amount });
    return $"edited: {answer["schedule_edit"]!["status"]}, amount {answer["schedule"]!["amount"]}";
}

async Task<string> Recharge(string usn, string ddd, string number, string amount)
{
    // From here on, the service owes Carat a decision. Without ours, it undoes the recharge.
    var nit = (string)(await AskService("/v1/recharges", new { merchant_usn = usn }))["nit"]!;
    var order = new { amount, dealer = new { code = "001" }, phone = new { ddd, number } };
    var decision = "undo";
    try
    {
        var url = $"{Env("CARAT_RECHARGE_URL", "http://127.0.0.1:8090/e-sitef")}/v3/recharge/{nit}";
        var (status, answer) = await Call(HttpMethod.Put, url, new { do_recharge_request = order });
        if (status == 200 && (string?)answer["do_recharge_response"]?["status"] == "PPC") decision = "confirm";
    }
    catch (Exception lost) when (lost is HttpRequestException or TaskCanceledException)
    {
        // Carat may have carried it out or not: undo it.
    }
    return $"recharge {usn}: {await Decide(nit, decision)}";
}

// Repeats until the service has stored the decision. 202: the service continues automatically.
async Task<string> Decide(string nit, string decision)
{
    for (var attempt = 0; attempt < 10; attempt++)
    {
        try
        {
            var (status, answer) = await Service(HttpMethod.Put, $"/v1/recharges/{nit}", new { decision });
            if (status is 200 or 202) return $"{answer["end"]?.ToString() ?? decision} {answer["status"]}";
            if (status != 503) throw new Failed($"not decided: {status} {answer["code"]}", 1);
        }
        catch (Exception away) when (away is HttpRequestException or TaskCanceledException)
        {
            // The next attempt asks again.
        }
        await Task.Delay(1000);
    }
    throw new Failed("not decided: the service undoes the recharge", 1);
}

async Task<string> GenericOperation(string operation)
{
    var token = (string)(await AskService("/v1/generic-tokens", new { }))["token"]!;
    var parameters = new { token, authorizer_id = "1", terminal_id = "EXAMPLE1", merchant_usn = "1", subfunction = "01" };
    var answer = await Carat(HttpMethod.Post, "/v1/genericoperations", new { operation, parameters });
    return $"done: code {answer["code"]}";
}

async Task<string> Cancellation(string payment, string usn, string amount)
{
    var asked = await AskService("/v1/cancellations", new { esitef_usn = payment, merchant_usn = usn });
    // Some acquirers need the card here, too.
    var answer = await Carat(HttpMethod.Put, $"/v1/cancellations/{asked["nit"]}", new { amount });
    return $"cancelled: {answer["cancellation"]!["status"]}";
}

async Task<JsonNode> AskService(string path, object body)
{
    var (status, answer) = await Service(HttpMethod.Post, path, body);
    if (status == 201) return answer;
    throw new Failed($"no token: {status} {answer["code"]}: {answer["detail"]}", status == 504 ? 3 : 1);
}

Task<(int, JsonNode)> Service(HttpMethod method, string path, object body) =>
    Call(method, Env("WORKER_URL", "http://127.0.0.1:8081") + path, body,
        ("Authorization", $"Bearer {Env("WORKER_API_KEY", "")}"));

async Task<JsonNode> Carat(HttpMethod method, string path, object body)
{
    var (status, answer) = await Call(method, Env("CARAT_URL", "http://127.0.0.1:8090/e-sitef/api") + path, body,
        ("merchant_id", Env("CARAT_MERCHANT_ID", "LOJA1")),
        ("merchant_key", Env("CARAT_MERCHANT_KEY", "CHAVE0123456789")));
    return status == 200 ? answer : throw new Failed($"Carat refused: {status} {answer.ToJsonString()}", 1);
}

async Task<(int, JsonNode)> Call(HttpMethod method, string url, object body, params (string Name, string Value)[] headers)
{
    using var request = new HttpRequestMessage(method, url) { Content = JsonContent.Create(body) };
    foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
    using var response = await http.SendAsync(request);
    var text = await response.Content.ReadAsStringAsync();
    return ((int)response.StatusCode, text == "" ? new JsonObject() : JsonNode.Parse(text)!);
}

static string Env(string name, string usual) =>
    Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : usual;

class Failed(string why, int code) : Exception(why)
{
    public int Code { get; } = code;
}
