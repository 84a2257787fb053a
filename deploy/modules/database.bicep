// Azure DocumentDB, which speaks MongoDB's protocol. Its connection string goes into the vault and nowhere else.
param name string
param location string
param tags object
param tier string
param diskGb int
param highAvailability bool
param vaultName string

@secure()
param password string

var administrator = 'chat'

resource cluster 'Microsoft.DocumentDB/mongoClusters@2025-09-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    administrator: {
      userName: administrator
      password: password
    }
    serverVersion: '8.0'
    // Change streams, by which instances hear of each other's messages at once, need one shard.
    sharding: { shardCount: 1 }
    compute: { tier: tier }
    storage: { sizeGb: diskGb }
    highAvailability: { targetMode: highAvailability ? 'ZoneRedundantPreferred' : 'Disabled' }
    publicNetworkAccess: 'Enabled'
  }

  // Instances come from changing addresses of Azure, which this rule stands for; the password and TLS do the rest.
  resource azure 'firewallRules' = {
    name: 'azure'
    properties: {
      startIpAddress: '0.0.0.0'
      endIpAddress: '0.0.0.0'
    }
  }
}

module connection 'secret.bicep' = {
  name: 'secret-mongodb-uri'
  params: {
    vaultName: vaultName
    name: 'mongodb-uri'
    value: replace(
      replace(cluster.properties.connectionString, '<user>', administrator),
      '<password>',
      uriComponent(password)
    )
  }
}
